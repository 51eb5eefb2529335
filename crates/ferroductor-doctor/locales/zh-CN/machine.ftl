# `doctor` 关于一台机器及其修复的说明。

ui-problems = 这台机器的其他问题
machine-interpreter-gone = 解释器 { $path } 无法运行：{ $reason }。
machine-environment-gone = 虚拟环境 { $environment } 失去了它的解释器：{ $reason }。请用现有的 Python 重新创建它，然后重新安装其中的包：{ $command }
inv-shared-memory = 共享内存
fix-shared-memory = 给机器或容器的共享内存更多空间（docker run --shm-size 1g）
ui-plan-by-hand = 这里无法自动修复：{ $kinds }。报告说明了如何手动处理。
ui-step-skipped = 未执行，因为前面的步骤失败了：{ $command }
ui-step-undone = 已撤销：{ $path } 已被删除
ui-load-file = 变量都在这个文件里。请在启动程序的 shell 中，或在 shell 的配置文件中加载它：{ $line }
ui-repair-incomplete = 未能全部修复。没有网络时，请在另一台机器上下载软件包；完全没有工具链时，同一个模型可以用 torch.compile(model, backend="ferroductor") 运行。
fix-broken-compiler = 程序 { $subject } 存在但不能工作：请把它从 PATH 中移除，或指定另一个编译器
fix-reinstall-compiler = 程序 { $subject } 存在但无法运行：它已损坏、不可执行或是为其他机器编译的；请重新安装它所属的软件包
machine-foreign-headers = 变量 { $variable } 指向 { $folder } 中 Python { $version } 的头文件。构建扩展时会使用它们，而不是所检查的 Python { $python } 的头文件：请从 { $variable } 中删除该目录。
machine-memory-limit = cgroup 把内存限制为 { $size } MiB。编译器与载入 torch 的进程一起大约需要 1024 MiB，否则会被杀死：请给更多内存（docker run --memory 4g），或一次只编译一个文件（MAX_JOBS=1 TORCHINDUCTOR_COMPILE_THREADS=1）。
