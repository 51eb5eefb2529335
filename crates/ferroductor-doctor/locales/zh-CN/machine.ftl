# `doctor` 关于一台机器及其修复的说明。

ui-problems = 这台机器的其他问题
machine-interpreter-gone = 解释器 { $path } 无法运行：{ $reason }。
machine-environment-gone = 虚拟环境 { $environment } 失去了它的解释器：{ $reason }。请用现有的 Python 重新创建它，然后重新安装其中的包：{ $command }
inv-shared-memory = 共享内存
fix-shared-memory = 给机器或容器的共享内存更多空间
ui-plan-by-hand = 这里无法自动修复：{ $kinds }。报告说明了如何手动处理。
ui-step-skipped = 未执行，因为前面的步骤失败了：{ $command }
ui-step-undone = 已撤销：{ $path } 已被删除
ui-load-file = 变量都在这个文件里。请在启动程序的 shell 中，或在 shell 的配置文件中加载它：{ $line }
ui-repair-incomplete = 未能全部修复。没有网络时，请在另一台机器上下载软件包；完全没有工具链时，同一个模型可以用 torch.compile(model, backend="ferroductor") 运行。
