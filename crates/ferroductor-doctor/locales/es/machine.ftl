# Lo que `doctor` dice de una máquina y de su reparación.

ui-problems = Otros problemas de esta máquina
machine-interpreter-gone = El intérprete { $path } no funciona: { $reason }.
machine-environment-gone = El entorno virtual { $environment } ha perdido su intérprete: { $reason }. Vuelva a crearlo con un Python que exista e instale de nuevo sus paquetes: { $command }
inv-shared-memory = Memoria compartida
fix-shared-memory = amplíe la memoria compartida de la máquina o del contenedor (docker run --shm-size 1g)
ui-plan-by-hand = No se repara automáticamente aquí: { $kinds }. El informe dice qué hacer a mano.
ui-step-skipped = no ejecutado, porque falló un paso anterior: { $command }
ui-step-undone = deshecho: se eliminó { $path }
ui-load-file = Las variables están en este archivo. Cárguelo en el shell que inicia su programa, o en el perfil del shell: { $line }
ui-repair-incomplete = No se pudo reparar todo. Sin red, descargue los paquetes en otra máquina; sin ninguna cadena de herramientas, el mismo modelo funciona con torch.compile(model, backend="ferroductor").
fix-broken-compiler = el programa { $subject } existe pero no funciona: quítelo de PATH o indique otro compilador
fix-reinstall-compiler = el programa { $subject } existe pero no se ejecuta: está dañado, no es ejecutable o se compiló para otra máquina; vuelva a instalar su paquete
machine-foreign-headers = La variable { $variable } lleva a las cabeceras de Python { $version } en { $folder }. Las compilaciones de extensiones las usan en lugar de las del Python examinado, { $python }: quite la carpeta de { $variable }.
machine-memory-limit = El cgroup limita la memoria a { $size } MiB. Un compilador junto a un proceso con torch necesita unos 1024 MiB y será terminado: dele más (docker run --memory 4g) o compile de uno en uno (MAX_JOBS=1 TORCHINDUCTOR_COMPILE_THREADS=1).
