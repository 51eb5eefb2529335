# What `doctor` says about a machine and its repair.

ui-problems = Other problems of this machine
machine-interpreter-gone = The interpreter { $path } does not run: { $reason }.
machine-environment-gone = The virtual environment { $environment } has lost its interpreter: { $reason }. Make it anew with a Python that is there, then install its packages again: { $command }
inv-shared-memory = Shared memory
fix-shared-memory = give the shared memory of the machine or container more room (docker run --shm-size 1g)
ui-plan-by-hand = Not repaired automatically here: { $kinds }. The report says what to do by hand.
ui-step-skipped = not run, because a step before it failed: { $command }
ui-step-undone = taken back: { $path } was removed again
ui-load-file = The variables are in this file. Load it in the shell that starts your program, or in the shell's profile: { $line }
ui-repair-incomplete = Not everything could be repaired. Without network, fetch the packages on another machine; without any toolchain the same model runs with torch.compile(model, backend="ferroductor").
fix-broken-compiler = the program { $subject } is there and does not work: remove it from PATH, or name another compiler
fix-reinstall-compiler = the program { $subject } is there and does not run: it is damaged, may not be executed or was built for another machine; install its package again
machine-foreign-headers = The variable { $variable } leads to the headers of Python { $version } in { $folder }. Extension builds take them instead of those of the examined Python { $python }: remove the folder from { $variable }.
machine-memory-limit = The cgroup limits memory to { $size } MiB. A compiler beside a process with torch needs about 1024 MiB and will be killed: give it more (docker run --memory 4g), or compile one at a time (MAX_JOBS=1 TORCHINDUCTOR_COMPILE_THREADS=1).
