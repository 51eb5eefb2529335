### Para cada tipo de fallo: una causa, un motivo y una solución.

python-h-triton-cause = Faltan los archivos de cabecera de Python { $python }: Triton encontró un compilador de C, pero no { $subject }.
python-h-triton-why = En los sistemas de tipo Debian, el intérprete y sus cabeceras son dos paquetes; las instalaciones mínimas, las imágenes de contenedor y algunos módulos solo traen el intérprete. Un entorno virtual no tiene cabeceras propias: usa las del intérprete del que procede. build-essential trae el compilador, no las cabeceras de Python.
python-h-triton-fix = Instale los archivos de cabecera de Python { $python }, exactamente la versión que ejecuta torch.

python-h-inductor-cpp-cause = Faltan los archivos de cabecera de Python { $python }, de esa versión exacta ({ $subject }), aunque el intérprete sí está.
python-h-inductor-cpp-why = Debian y Ubuntu separan el intérprete (python{ $python }) de sus cabeceras (python{ $python }-dev); los contenedores, los entornos virtuales y las instalaciones mínimas suelen tener solo el primero. Un entorno virtual, o los paquetes en ~/.local, usan las cabeceras del intérprete al que pertenecen. Las cabeceras de otra versión no sirven: la API de C es distinta.
python-h-inductor-cpp-fix = Instale los archivos de cabecera de Python { $python } (exactamente esa versión).

python-h-cpp-extension-cause = Faltan los archivos de cabecera de Python { $python } ({ $subject }), así que no se puede compilar ninguna extensión.
python-h-cpp-extension-why = Un módulo de extensión se compila con la API de C de Python. Los sistemas de tipo Debian guardan esas cabeceras en un paquete aparte, que los contenedores y las instalaciones mínimas omiten. El compilador y las cabeceras de torch sí se encontraron.
python-h-cpp-extension-fix = Instale los archivos de cabecera de Python { $python } (exactamente esa versión) y vuelva a compilar.

no-cxx-compiler-cause = No hay ningún compilador de C++ que funcione ({ $subject }).
no-cxx-compiler-why = torch.compile en la CPU, y toda compilación de extensiones, ejecutan un compilador de C++; las imágenes reducidas y los sistemas mínimos no lo tienen, y una variable CXX que nombra un compilador o lanzador inexistente equivale a no tenerlo. El entrenamiento en GPU también lo necesita, porque parte del grafo es código de CPU.
no-cxx-compiler-fix = Instale un compilador de C++ donde se ejecuta el programa (en la etapa final de la imagen, no solo en la de compilación), o corrija CXX.

no-c-compiler-triton-cause = Triton no encontró ningún compilador de C ({ $subject }) para su módulo auxiliar.
no-c-compiler-triton-why = En su primer uso, Triton compila un pequeño archivo C que habla con el controlador de la GPU. Toma CC, o gcc, o clang de PATH; las imágenes reducidas y los sistemas WSL recientes no tienen ninguno.
no-c-compiler-triton-fix = Instale gcc y las cabeceras de Python, que Triton necesita a continuación.

omp-h-linux-cause = Faltan los archivos de cabecera o la biblioteca OpenMP del compilador ({ $subject }).
omp-h-linux-why = GCC trae omp.h en sus propios archivos de desarrollo; Clang lo guarda en un paquete aparte (libomp). Un Clang sin libomp, o un GCC cuyos archivos se borraron o son de otra versión, no puede compilar los bucles paralelos de Inductor.
omp-h-linux-fix = Instale OpenMP para el compilador en uso: libomp para Clang, el paquete gcc completo para GCC.

omp-macos-cause = El clang de Apple no tiene OpenMP: no se encontró { $subject }.
omp-macos-why = Apple entrega clang sin omp.h ni libomp. Los kernels de Inductor necesitan ambos; Homebrew los instala fuera de las carpetas que clang consulta.
omp-macos-fix = Instale libomp con Homebrew o llvm-openmp con conda, y defina OMP_PREFIX en el primer caso.

libomp-loaded-twice-macos-cause = Hay dos copias de la biblioteca OpenMP cargadas en un mismo proceso ({ $subject }).
libomp-loaded-twice-macos-why = torch trae una biblioteca OpenMP; otro paquete, o el kernel compilado, enlazó una segunda. Cada una lanzaría sus propios hilos, por eso la biblioteca detiene el programa.
libomp-loaded-twice-macos-fix = Deje solo una: actualice torch, o tome torch y los demás paquetes de la misma fuente (todo pip o todo conda).

libgomp-missing-cause = Falta la biblioteca OpenMP de GCC ({ $subject }), o se usa una copia distinta de la de torch.
libgomp-missing-why = El código compilado con -fopenmp se enlaza con libgomp. Los archivos del compilador están incompletos, o falta el paquete de ejecución, o una copia antigua en el entorno oculta la buena.
libgomp-missing-fix = Reinstale los paquetes de gcc que contienen libgomp, y la biblioteca de ejecución.

msvc-cl-not-found-cause = El compilador de C++ de Microsoft ({ $subject }) no está instalado o no está en PATH.
msvc-cl-not-found-why = En Windows, Inductor y las compilaciones de extensiones ejecutan cl.exe. Visual Studio no lo pone en PATH; solo lo hacen su consola de desarrollador o vcvars64.bat. Sin la carga de trabajo de C++ ni siquiera existe.
msvc-cl-not-found-fix = Instale las Build Tools con la carga de trabajo de C++ e inicie Python desde la consola «x64 Native Tools».

msvc-environment-not-loaded-cause = cl.exe se ejecuta, pero su entorno no está cargado: no se encontró { $subject }.
msvc-environment-not-loaded-why = cl.exe encuentra las cabeceras estándar, omp.h y las bibliotecas de Windows mediante INCLUDE y LIB, que define vcvars64.bat. No basta con poner la carpeta de cl.exe en PATH, y una instalación sin la carga de trabajo de C++ o sin el SDK de Windows no tiene esos archivos.
msvc-environment-not-loaded-fix = Ejecute vcvars64.bat en la consola que inicia Python; si no basta, añada la carga de trabajo de C++ y el SDK de Windows.

cannot-find-ltorch-cause = El enlazador no encontró las bibliotecas de torch ({ $subject }).
cannot-find-ltorch-why = La carpeta de bibliotecas del comando no las contiene: un torch dañado o borrado a medias, una carpeta que se movió, o un torch con un error conocido en la línea de enlace.
cannot-find-ltorch-fix = Reinstale torch; con un torch anterior a 2.7 en Windows, o si el comando no contiene ningún -L para torch, actualícelo.

cannot-find-lcuda-cause = El enlazador no encontró la biblioteca del controlador de NVIDIA ({ $subject }).
cannot-find-lcuda-why = El controlador instala libcuda.so.1; el enlazador busca libcuda.so en sus carpetas. Tras una instalación con archivo .run, en WSL, en contenedores y cuando solo hay una copia de 32 bits, ese nombre no está donde busca.
cannot-find-lcuda-fix = Localice libcuda.so.1 y hágala visible: un enlace llamado libcuda.so en una carpeta de LIBRARY_PATH, o TRITON_LIBCUDA_PATH.

libcuda-assertion-cause = Triton no encontró la biblioteca del controlador de NVIDIA ({ $subject }).
libcuda-assertion-why = Triton pregunta a ldconfig dónde está libcuda.so.1. La carpeta del controlador no está en la caché del cargador (Colab, Singularity, WSL), o la máquina o el contenedor no tiene controlador de NVIDIA.
libcuda-assertion-fix = Con controlador: ejecute ldconfig sobre su carpeta, o defina LD_LIBRARY_PATH o TRITON_LIBCUDA_PATH. Sin él: use la CPU, o inicie el contenedor con la GPU.

cannot-find-lcudart-cause = No se encontró la biblioteca de ejecución de CUDA ({ $subject }).
cannot-find-lcudart-why = El enlace busca en CUDA_HOME/lib64; conda guarda la biblioteca en lib, los paquetes de pip solo traen el archivo con número de versión, y algunos sistemas solo tienen el controlador.
cannot-find-lcudart-fix = Instale los archivos de desarrollo de CUDA, o añada la carpeta que contiene libcudart.so.

glibcxx-not-found-cause = La biblioteca de C++ que se cargó es demasiado antigua: le falta { $subject }.
glibcxx-not-found-why = Algo se compiló con un GCC más nuevo que el libstdc++.so.6 que carga el proceso ({ $detail }). Normalmente la copia más antigua de conda oculta la del sistema, o al revés.
glibcxx-not-found-fix = Actualice la copia más antigua (conda: libstdcxx-ng), o recompile con un compilador que encaje. No sobrescriba una con la otra.

glibc-too-old-cause = La biblioteca de C del sistema es demasiado antigua: se pide { $subject }.
glibc-too-old-why = Un binario ({ $detail }) se compiló en una distribución más nueva. La biblioteca de C forma parte de la distribución y no se puede sustituir sola.
glibc-too-old-fix = Use una distribución o imagen de contenedor más nueva, o una versión compilada para sistemas más antiguos.

cxx-standard-too-old-cause = El compilador es demasiado antiguo para el C++ que torch necesita ({ $subject }).
cxx-standard-too-old-why = Las cabeceras de torch y el código de Inductor necesitan C++17, las versiones nuevas C++20, y GCC 9 o posterior. El compilador es más antiguo, o la extensión fija un estándar viejo.
cxx-standard-too-old-fix = Instale un compilador más nuevo e indíquelo en CXX y CC, o suba el estándar que pide la extensión.

arch-flags-or-compiler-crash-cause = El compilador no maneja las instrucciones de la CPU, o falló con ellas ({ $subject }).
arch-flags-or-compiler-crash-why = -march=native pide todo lo que tiene esta CPU. Un compilador o ensamblador más antiguo que la CPU no conoce los nombres, y algunas versiones fallan con código vectorizado.
arch-flags-or-compiler-crash-fix = Use un compilador más nuevo con su ensamblador, o genere vectores más cortos.

compiler-killed-oom-cause = El sistema mató el proceso del compilador porque se agotó la memoria.
compiler-killed-oom-why = Compilar código de torch ocupa de 1 a 4 GB por proceso, y ninja e Inductor inician uno por núcleo. El sistema, o el límite del contenedor, mata entonces ese proceso; la última línea del registro es solo la de la herramienta de compilación.
compiler-killed-oom-fix = Compile con menos procesos (MAX_JOBS=1), o dé más memoria.

no-space-left-cause = No queda espacio donde se escriben el código compilado o los archivos temporales ({ $subject }).
no-space-left-why = Los compiladores escriben en TMPDIR y en las carpetas de caché. Un disco lleno, un tmpfs pequeño, una cuota o los inodos agotados los detienen, a menudo sin nombrar la ruta.
no-space-left-fix = Libere espacio, o mueva TMPDIR y las cachés a otro disco.

noexec-tmp-cause = El código compilado no puede cargarse desde su carpeta: el sistema de archivos está montado con noexec ({ $subject }).
noexec-tmp-why = El kernel se compiló, pero cargarlo exige proyectar el archivo como ejecutable, y un montaje noexec lo prohíbe. El tmpfs de Docker y los sistemas reforzados montan así /tmp. Los permisos del archivo no influyen.
noexec-tmp-fix = Ponga las cachés en un sistema de archivos que permita la ejecución.

cache-permission-denied-cause = La carpeta de caché pertenece a otro usuario o no se puede escribir en ella: { $subject }.
cache-permission-denied-why = La carpeta la creó otro usuario (a menudo root, o el primer usuario de una máquina compartida), o HOME no está definida y la ruta empieza en la raíz. Los compiladores no pueden escribir ahí.
cache-permission-denied-fix = Use carpetas de caché propias, o corrija el propietario.

cache-rename-denied-windows-cause = Windows se negó a renombrar una carpeta de la caché ({ $subject }).
cache-rename-denied-windows-why = Triton e Inductor escriben en una carpeta temporal y la renombran. Windows lo prohíbe mientras otro proceso, o un antivirus, tenga abierto un archivo suyo, o cuando el destino ya existe.
cache-rename-denied-windows-fix = Cierre los demás procesos de Python y borre la caché; dé a cada proceso la suya; excluya la carpeta del antivirus.

read-only-filesystem-cause = La carpeta de caché o temporal está en un sistema de archivos de solo lectura ({ $subject }).
read-only-filesystem-why = Los contenedores con raíz de solo lectura, los ajustes de seguridad de Kubernetes y las imágenes montadas no permiten escribir. El código compilado necesita una carpeta donde se pueda escribir y ejecutar.
read-only-filesystem-fix = Apunte las variables de caché, y HOME, a un montaje donde se pueda escribir.

uid-without-passwd-entry-cause = El identificador de usuario ({ $subject }) no figura en /etc/passwd, así que no se puede dar nombre a la carpeta de caché.
uid-without-passwd-entry-why = Inductor nombra su caché según el usuario. Los contenedores que se ejecutan con un identificador arbitrario (docker --user, OpenShift, Kubernetes) no tienen nombre para él. Desde torch 2.13 se usa el número en su lugar; antes, TORCHINDUCTOR_CACHE_DIR por sí sola no siempre basta.
uid-without-passwd-entry-fix = Defina USER y LOGNAME, HOME y las variables de caché, o cree el usuario en la imagen.

illegal-instruction-cause = El código compilado usa instrucciones que esta CPU no tiene.
illegal-instruction-why = El código se compila para la CPU de la máquina que compila. Una caché o una biblioteca AOTInductor de una máquina más nueva, o una máquina virtual que oculta funciones, acaban en una instrucción ilegal.
illegal-instruction-fix = Borre el código en caché y compile aquí, o compile para la CPU más antigua en uso.

precompiled-header-cause = Una cabecera precompilada ya no encaja y fue rechazada.
precompiled-header-why = Inductor precompila las cabeceras de torch. Cuando cambia la fecha de una cabecera, o la versión o las opciones del compilador, este rechaza el archivo antiguo; Clang y GCC comparan más que el contenido.
precompiled-header-fix = Borre las cabeceras precompiladas; se crearán de nuevo.

python-version-unsupported-cause = Este torch no admite Python { $subject } en torch.compile.
python-version-unsupported-why = Cada versión de torch admite los Python conocidos al publicarse; Dynamo lee el bytecode, que cambia con cada Python. Para Python { $python }, el primer torch cuyo torch.compile funciona es { $torch } (comprobado en { $checked }).
python-version-unsupported-fix = Actualice torch; { $torch } o posterior admite Python { $python }. Cambie de Python solo si torch no se puede actualizar.

triton-missing-cause = Triton no está instalado en el entorno que ejecuta torch ({ $subject }).
triton-missing-why = Inductor compila los kernels de GPU con Triton. El Triton oficial solo tiene paquetes para Linux; en Windows es el paquete triton-windows. También puede que un simple pip lo instalara para otro Python.
triton-missing-fix = Instálelo con el mismo intérprete: python -m pip.

triton-torch-version-mismatch-cause = El Triton instalado no encaja con este torch ({ $subject }).
triton-torch-version-mismatch-why = Inductor usa partes internas de Triton, así que cada torch necesita una versión de Triton; otra, a menudo de desarrollo o actualizada por otro paquete, carece de lo que torch importa.
triton-torch-version-mismatch-fix = Instale la versión de Triton que indican los metadatos de torch.

ptxas-too-old-cause = El ensamblador de CUDA (ptxas) es más antiguo que la GPU o que el código ({ $subject }).
ptxas-too-old-why = Triton incluye un ptxas, que solo conoce las GPU de su época. Rechaza una GPU más nueva o una versión más nueva del código intermedio.
ptxas-too-old-fix = Actualice torch y Triton, o apunte TRITON_PTXAS_PATH al ptxas de un CUDA más nuevo.

undefined-symbol-abi-cause = Una extensión se compiló para otro torch: { $subject } no existe en el instalado.
undefined-symbol-abi-why = La interfaz de C++ de torch cambia de una versión a otra. Una extensión compilada antes ({ $detail }), o un paquete para otro torch, pide símbolos que ya no están.
undefined-symbol-abi-fix = Borre o recompile la extensión, o instale la versión hecha para este torch.

libc-headers-missing-cause = Faltan cabeceras o archivos de arranque de la biblioteca de C o C++ ({ $subject }).
libc-headers-missing-why = El compilador está, pero no los archivos de desarrollo de la biblioteca del sistema (libc6-dev, libstdc++-dev), o un compilador de conda busca solo en su propio sysroot, donde falta el archivo.
libc-headers-missing-fix = Instale los archivos de desarrollo de las bibliotecas de C y C++; con el compilador de conda, el que falta desde conda-forge (crypt.h: libxcrypt).

ninja-missing-cause = La herramienta de compilación ninja no está instalada o no está en PATH.
ninja-missing-why = torch.utils.cpp_extension compila con ninja. Si el entorno no está activado, tampoco se encuentra el programa de un paquete instalado.
ninja-missing-fix = Instale ninja en el entorno y tenga su carpeta bin en PATH.

cuda-home-not-set-cause = No se encontró ningún CUDA Toolkit (nvcc, { $subject }).
cuda-home-not-set-why = Las extensiones de CUDA se compilan con nvcc. Los paquetes de torch traen las bibliotecas de CUDA, no el compilador; un controlador no es un toolkit.
cuda-home-not-set-fix = Instale el toolkit de la versión que indica torch.version.cuda y defina CUDA_HOME.

cuda-version-mismatch-cause = El CUDA Toolkit ({ $subject }) no es el mismo con el que se compiló torch ({ $detail }).
cuda-version-mismatch-why = Las extensiones deben compilarse con la misma versión principal de CUDA que torch. El primer nvcc de PATH, o CUDA_HOME, es otro.
cuda-version-mismatch-fix = Apunte CUDA_HOME y PATH a un toolkit que encaje, o instale un torch compilado para el suyo. Quitar la comprobación es peligroso.

nvcc-rejects-gcc-cause = nvcc no acepta este compilador anfitrión (acepta hasta la versión { $subject }).
nvcc-rejects-gcc-why = Cada versión de CUDA admite compiladores hasta cierta versión; las distribuciones traen otros más nuevos.
nvcc-rejects-gcc-fix = Instale un gcc más antiguo junto al nuevo e indíquelo, o use un CUDA más nuevo.

conda-compiler-clash-cause = El compilador o enlazador de conda choca con bibliotecas de fuera ({ $subject }).
conda-compiler-clash-why = Los compiladores de conda tienen su propia biblioteca de C, más antigua, y solo buscan dentro del entorno. Los paquetes de torch, la biblioteca del controlador y las del sistema vienen de fuera y quieren una más nueva.
conda-compiler-clash-fix = Compile con el compilador del sistema, o tome torch, compilador y sysroot todos de conda-forge.

path-with-spaces-cause = Una ruta con un espacio se partió en el comando del compilador ({ $subject }).
path-with-spaces-why = Una carpeta de caché, de entorno o de usuario tiene un espacio en el nombre, y el comando se compuso sin comillas. El compilador toma las dos mitades por dos archivos.
path-with-spaces-fix = Use una carpeta sin espacios para la caché y para el entorno; las versiones nuevas entrecomillan más rutas.

path-too-long-windows-cause = Una ruta de la caché supera lo que Windows permite (260 caracteres; aquí { $subject }).
path-too-long-windows-why = Los kernels llevan el nombre de las operaciones que fusionan, en carpetas con nombres de hash, dentro de su carpeta temporal. El archivo parece «no encontrado» porque su nombre es demasiado largo.
path-too-long-windows-fix = Use una carpeta de caché muy corta, o permita rutas largas.

unicode-decode-compiler-output-cause = La salida del compilador no se pudo decodificar como { $subject }.
unicode-decode-compiler-output-why = Un compilador localizado escribe en la página de códigos del sistema, y torch la leyó como UTF-8. La compilación en sí puede estar bien.
unicode-decode-compiler-output-fix = Haga que el compilador escriba en inglés, o actualice torch, que sustituye esos bytes.

compile-subprocess-died-cause = Un proceso que compila kernels terminó de forma inesperada.
compile-subprocess-died-why = Inductor compila en procesos auxiliares. Uno acabó por un fallo, falta de memoria o una señal, o transmitió un error; el mensaje del padre oculta el motivo.
compile-subprocess-died-fix = Defina TORCHINDUCTOR_COMPILE_THREADS=1 para ver el error real, y revise los límites de memoria.

cuda-h-missing-cause = Faltan los archivos de cabecera de CUDA ({ $subject }).
cuda-h-missing-why = El código que habla con CUDA incluye sus cabeceras. Los Triton antiguos, los paquetes de Triton de las distribuciones y las extensiones las toman de CUDA_HOME, donde no hay toolkit o solo su parte de ejecución.
cuda-h-missing-fix = Instale los archivos de desarrollo del toolkit y defina CUDA_HOME; los Triton nuevos traen cuda.h.

stale-build-lock-hang-cause = La compilación de una extensión espera un bloqueo que dejó otra interrumpida ({ $subject }).
stale-build-lock-hang-why = torch.utils.cpp_extension marca una compilación en curso con un archivo llamado lock. Si se la interrumpe a la fuerza, el archivo se queda, y todas las siguientes esperan para siempre y sin mensaje.
stale-build-lock-hang-fix = Asegúrese de que no haya ninguna compilación en marcha, borre el bloqueo y empiece de nuevo.

setuptools-missing-cause = Falta el paquete { $subject }: setuptools no está instalado.
setuptools-missing-why = Triton y torch.utils.cpp_extension importan setuptools. Los entornos creados por uv, o con Python 3.12 y posteriores, no lo contienen, y distutils salió entonces de la biblioteca estándar.
setuptools-missing-fix = Instale setuptools en el entorno.

ldconfig-missing-cause = Triton necesita el programa ldconfig, que no está en { $subject }.
ldconfig-missing-why = Triton ejecuta /sbin/ldconfig para hallar la biblioteca del controlador. NixOS, Alpine y las imágenes muy pequeñas no lo tienen ahí.
ldconfig-missing-fix = Proporciónelo, o indique a Triton la carpeta de libcuda con TRITON_LIBCUDA_PATH.

half-installed-toolchain-cause = El compilador está instalado a medias: no puede iniciar { $subject }.
half-installed-toolchain-why = gcc solo llama a otros programas: el compilador de C++ (cc1plus), el ensamblador (as) y el enlazador (ld) vienen en otros paquetes. CXX=gcc sin g++, o imágenes sin binutils, carecen de alguno.
half-installed-toolchain-fix = Instale la cadena completa: g++ y binutils.

openssl-program-missing-cause = Inductor ejecuta el programa openssl, que no está instalado.
openssl-program-missing-why = Lo usa para calcular el hash de la cabecera precompilada. La biblioteca sola, que Python tiene, no basta; las imágenes mínimas carecen del programa.
openssl-program-missing-fix = Instale el paquete openssl.

network-filesystem-cache-cause = La caché de compilación está en un sistema de archivos de red que varios procesos modifican a la vez ({ $subject }).
network-filesystem-cache-why = Renombrar y cargar bibliotecas en NFS falla con descriptores caducados o archivos ocupados cuando varios procesos (ranks) o trabajos comparten una caché.
network-filesystem-cache-fix = Mantenga las cachés en un disco local, una por nodo o por rank.

gxx-spawn-bad-address-cause = El sistema no pudo iniciar el compilador { $subject }: «Bad address».
gxx-spawn-bad-address-why = El inicio de un proceso falló dentro de la llamada al sistema. La causan memoria dañada en el proceso, un kernel del sistema o un entorno aislado (sandbox) poco comunes, o un bloque de entorno roto; el compilador nunca llegó a ejecutarse.
gxx-spawn-bad-address-fix = Inicie de nuevo el programa; si vuelve a fallar, ejecute el compilador a mano en el mismo entorno, busque aislamientos y límites, y reinstálelo si ahí también falla.

nvcc-not-executable-wsl-cause = Se encontró el programa { $subject }, pero no se puede ejecutar.
nvcc-not-executable-wsl-why = torch pide su versión a nvcc, solo para escribir un comentario. En WSL, PATH contiene carpetas de Windows cuyos archivos Linux no puede ejecutar, y torch, antes de la corrección, solo tolera que el archivo falte.
nvcc-not-executable-wsl-fix = Quite esa carpeta de PATH o corrija los permisos; un torch más nuevo ignora el error.

nvcc-too-old-for-gpu-cause = nvcc es anterior a la GPU para la que debe compilar ({ $subject }).
nvcc-too-old-for-gpu-why = Cada versión de CUDA Toolkit conoce las GPU de su época. La extensión pide la arquitectura de la GPU de esta máquina, o la de TORCH_CUDA_ARCH_LIST, y el primer nvcc encontrado no la conoce. La versión de CUDA de torch es otra y puede ser lo bastante reciente.
nvcc-too-old-for-gpu-fix = Instale el CUDA Toolkit de la versión que indica torch.version.cuda y haga que CUDA_HOME y PATH apunten a él.

torch-missing-in-build-cause = El paquete se compila en un entorno aislado que no contiene torch.
torch-missing-in-build-why = pip y uv compilan un paquete en un entorno nuevo que solo contiene lo que el paquete declara. Su setup.py importa torch sin declararlo; que torch esté instalado en su entorno no cambia nada.
torch-missing-in-build-fix = Desactive el aislamiento de la compilación (build isolation), con torch y las herramientas de compilación ya instalados.

python-library-missing-cause = El enlazador no encontró la biblioteca de Python ({ $subject }).
python-library-missing-why = En Windows, una extensión se enlaza con python3xx.lib, que falta en el Python incrustable («embeddable») y en algunos entornos virtuales. En Linux, un comando que pide -lpython3.x necesita el paquete de desarrollo, que aporta el enlace simbólico de la biblioteca.
python-library-missing-fix = Proporcione la biblioteca de esta versión exacta de Python.

xpu-toolchain-missing-cause = No se encontró una parte de la pila de GPU de Intel ({ $subject }).
xpu-toolchain-missing-why = El backend de Triton para las GPU de Intel compila un módulo auxiliar con Level Zero y SYCL. El controlador trae las bibliotecas, no los archivos de cabecera, y no siempre ocloc, que traduce los kernels a código máquina.
xpu-toolchain-missing-fix = Instale los archivos de desarrollo de Level Zero y el compilador oneAPI, y cargue su entorno.

rocm-toolchain-missing-cause = No se encontró una parte de ROCm ({ $subject }).
rocm-toolchain-missing-why = Para las GPU de AMD, Triton y las extensiones usan los archivos de cabecera de HIP, su biblioteca y el enlazador de ROCm. Los wheels de torch para ROCm traen las bibliotecas de ejecución, no todo lo necesario para compilar, y buscan en /opt/rocm si no se indica otra cosa.
rocm-toolchain-missing-fix = Instale los paquetes de desarrollo de ROCm de la versión que indica torch.version.hip, o indique la carpeta donde están.
