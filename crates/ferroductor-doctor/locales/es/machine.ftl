# Lo que `doctor` dice de una máquina y de su reparación.

ui-problems = Otros problemas de esta máquina
machine-interpreter-gone = El intérprete { $path } no funciona: { $reason }.
machine-environment-gone = El entorno virtual { $environment } ha perdido su intérprete: { $reason }. Vuelva a crearlo con un Python que exista e instale de nuevo sus paquetes: { $command }
inv-shared-memory = Memoria compartida
fix-shared-memory = dar más espacio a la memoria compartida de la máquina o del contenedor
ui-plan-by-hand = No se repara automáticamente aquí: { $kinds }. El informe dice qué hacer a mano.
ui-step-skipped = no ejecutado, porque falló un paso anterior: { $command }
ui-step-undone = deshecho: se eliminó { $path }
ui-load-file = Las variables están en este archivo. Cárguelo en el shell que inicia su programa, o en el perfil del shell: { $line }
ui-repair-incomplete = No se pudo reparar todo. Sin red, descargue los paquetes en otra máquina; sin ninguna cadena de herramientas, el mismo modelo funciona con torch.compile(model, backend="ferroductor").
