### Pour chaque type d'échec : une cause, une raison, une réparation.

python-h-triton-cause = Les fichiers d’en-tête de Python { $python } manquent : Triton a trouvé un compilateur C, mais pas { $subject }.
python-h-triton-why = Sur les systèmes de type Debian, l’interpréteur et ses en-têtes sont deux paquets ; les installations minimales, les images de conteneur et certains modules n’ont que l’interpréteur. Un environnement virtuel n’a pas d’en-têtes à lui : il utilise ceux de l’interpréteur dont il est issu. build-essential apporte le compilateur, pas les en-têtes de Python.
python-h-triton-fix = Installez les fichiers d’en-tête de Python { $python }, exactement la version qui exécute torch.

python-h-inductor-cpp-cause = Les fichiers d’en-tête de Python { $python } (exactement cette version) manquent ({ $subject }), alors que l’interpréteur est bien là.
python-h-inductor-cpp-why = Debian et Ubuntu séparent l’interpréteur (python{ $python }) de ses en-têtes (python{ $python }-dev) ; les conteneurs, les environnements virtuels et les installations minimales n’ont souvent que le premier. Un environnement virtuel, ou des paquets dans ~/.local, utilisent les en-têtes de l’interpréteur auquel ils appartiennent. Les en-têtes d’une autre version ne servent à rien : l’API C diffère.
python-h-inductor-cpp-fix = Installez les fichiers d’en-tête de Python { $python } (exactement cette version).

python-h-cpp-extension-cause = Les fichiers d’en-tête de Python { $python } manquent ({ $subject }) : aucune extension ne peut être compilée.
python-h-cpp-extension-why = Un module d’extension est compilé avec l’API C de Python. Les systèmes de type Debian rangent ces en-têtes dans un paquet à part, que les conteneurs et les installations minimales omettent. Le compilateur et les en-têtes de torch ont été trouvés.
python-h-cpp-extension-fix = Installez les fichiers d’en-tête de Python { $python } (exactement cette version), puis relancez la compilation.

no-cxx-compiler-cause = Il n’y a pas de compilateur C++ utilisable ({ $subject }).
no-cxx-compiler-why = torch.compile sur le processeur, et toute construction d’extension, lancent un compilateur C++ ; les images allégées et les systèmes minimaux n’en ont pas, et une variable CXX qui désigne un compilateur ou un lanceur absent revient au même. L’entraînement sur GPU en a besoin aussi, car une partie du graphe est du code pour le processeur.
no-cxx-compiler-fix = Installez un compilateur C++ là où le programme s’exécute (dans l’étape d’exécution de l’image, pas seulement dans celle de construction), ou corrigez CXX.

no-c-compiler-triton-cause = Triton n’a trouvé aucun compilateur C ({ $subject }) pour son module auxiliaire.
no-c-compiler-triton-why = À sa première utilisation, Triton compile un petit fichier C qui parle au pilote du GPU. Il prend CC, sinon gcc ou clang dans PATH ; les images allégées et les systèmes WSL neufs n’en ont aucun.
no-c-compiler-triton-fix = Installez gcc, ainsi que les en-têtes de Python, dont Triton a besoin ensuite.

omp-h-linux-cause = Les en-têtes ou la bibliothèque OpenMP du compilateur manquent ({ $subject }).
omp-h-linux-why = GCC fournit omp.h dans ses propres fichiers de développement ; Clang le place dans un paquet séparé (libomp). Un Clang sans libomp, ou un GCC dont des fichiers ont été supprimés ou viennent d’une autre version, ne peut pas compiler les boucles parallèles d’Inductor.
omp-h-linux-fix = Installez OpenMP pour le compilateur utilisé : libomp pour Clang, le paquet gcc complet pour GCC.

omp-macos-cause = Le clang d’Apple n’a pas OpenMP : { $subject } est introuvable.
omp-macos-why = Apple livre clang sans omp.h ni libomp. Les noyaux d’Inductor ont besoin des deux ; Homebrew les installe hors des dossiers que clang consulte.
omp-macos-fix = Installez libomp avec Homebrew ou llvm-openmp avec conda, et définissez OMP_PREFIX dans le premier cas.

libomp-loaded-twice-macos-cause = Deux copies de la bibliothèque d’exécution OpenMP sont chargées dans un même processus ({ $subject }).
libomp-loaded-twice-macos-why = torch apporte une bibliothèque OpenMP ; un autre paquet, ou le noyau compilé, en a lié une seconde. Chacune lancerait ses propres fils d’exécution, donc la bibliothèque arrête le programme.
libomp-loaded-twice-macos-fix = N’en gardez qu’une : mettez torch à jour, ou prenez torch et les autres paquets à la même source (tout pip ou tout conda).

libgomp-missing-cause = La bibliothèque OpenMP de GCC ({ $subject }) manque, ou une autre copie que celle de torch est utilisée.
libgomp-missing-why = Le code compilé avec -fopenmp est lié à libgomp. Les fichiers du compilateur sont incomplets, ou le paquet d’exécution est absent, ou une ancienne copie dans l’environnement masque la bonne.
libgomp-missing-fix = Réinstallez les paquets gcc qui contiennent libgomp, et la bibliothèque d’exécution.

msvc-cl-not-found-cause = Le compilateur C++ de Microsoft ({ $subject }) n’est pas installé ou n’est pas dans PATH.
msvc-cl-not-found-why = Sous Windows, Inductor et les constructions d’extensions lancent cl.exe. Visual Studio ne le met pas dans PATH ; seules sa console de développement, ou vcvars64.bat, le font. Sans la charge de travail C++, il n’existe pas du tout.
msvc-cl-not-found-fix = Installez les Build Tools avec la charge de travail C++, et lancez Python depuis la console « x64 Native Tools ».

msvc-environment-not-loaded-cause = cl.exe s’exécute, mais son environnement n’est pas chargé : { $subject } est introuvable.
msvc-environment-not-loaded-why = cl.exe trouve les en-têtes standard, omp.h et les bibliothèques de Windows par INCLUDE et LIB, que vcvars64.bat définit. Mettre le dossier de cl.exe dans PATH ne suffit pas, et une installation sans la charge de travail C++ ou le SDK Windows n’a pas ces fichiers.
msvc-environment-not-loaded-fix = Lancez vcvars64.bat dans la console qui démarre Python ; si cela ne suffit pas, ajoutez la charge de travail C++ et le SDK Windows.

cannot-find-ltorch-cause = L’éditeur de liens n’a pas trouvé les bibliothèques de torch ({ $subject }).
cannot-find-ltorch-why = Le dossier de bibliothèques de la commande ne les contient pas : torch endommagé ou à moitié supprimé, dossier déplacé, ou version de torch dont la ligne d’édition de liens a une erreur connue.
cannot-find-ltorch-fix = Réinstallez torch ; avec un torch antérieur à 2.7 sous Windows, ou si la commande ne contient aucun -L pour torch, mettez-le à jour.

cannot-find-lcuda-cause = L’éditeur de liens n’a pas trouvé la bibliothèque du pilote NVIDIA ({ $subject }).
cannot-find-lcuda-why = Le pilote installe libcuda.so.1 ; l’éditeur de liens cherche libcuda.so dans ses dossiers. Après une installation par fichier .run, sous WSL, dans un conteneur, ou quand seule une copie 32 bits existe, ce nom n’est pas là où il cherche.
cannot-find-lcuda-fix = Trouvez libcuda.so.1 et faites-la connaître : un lien nommé libcuda.so dans un dossier de LIBRARY_PATH, ou TRITON_LIBCUDA_PATH.

libcuda-assertion-cause = Triton n’a pas trouvé la bibliothèque du pilote NVIDIA ({ $subject }).
libcuda-assertion-why = Triton demande à ldconfig où se trouve libcuda.so.1. Le dossier du pilote n’est pas dans le cache du chargeur (Colab, Singularity, WSL), ou la machine ou le conteneur n’a pas de pilote NVIDIA.
libcuda-assertion-fix = Avec un pilote : lancez ldconfig sur son dossier, ou définissez LD_LIBRARY_PATH ou TRITON_LIBCUDA_PATH. Sans pilote : utilisez le processeur, ou démarrez le conteneur avec le GPU.

cannot-find-lcudart-cause = La bibliothèque d’exécution CUDA ({ $subject }) est introuvable.
cannot-find-lcudart-why = L’édition de liens cherche dans CUDA_HOME/lib64 ; conda range la bibliothèque dans lib, les paquets pip n’ont que le fichier avec numéro de version, et certains systèmes n’ont que le pilote.
cannot-find-lcudart-fix = Installez les fichiers de développement de CUDA, ou ajoutez le dossier qui contient libcudart.so.

glibcxx-not-found-cause = La bibliothèque C++ chargée est trop ancienne : il lui manque { $subject }.
glibcxx-not-found-why = Quelque chose a été compilé par un GCC plus récent que le libstdc++.so.6 que le processus charge ({ $detail }). Le plus souvent, la copie plus ancienne de conda masque celle du système, ou l’inverse.
glibcxx-not-found-fix = Mettez à jour la copie la plus ancienne (conda : libstdcxx-ng), ou recompilez avec un compilateur qui lui convient. N’écrasez pas l’une par l’autre.

glibc-too-old-cause = La bibliothèque C du système est trop ancienne : { $subject } est demandé.
glibc-too-old-why = Un binaire ({ $detail }) a été construit sur une distribution plus récente. La bibliothèque C fait partie de la distribution et ne peut pas être remplacée seule.
glibc-too-old-fix = Utilisez une distribution ou une image de conteneur plus récente, ou une version construite pour des systèmes plus anciens.

cxx-standard-too-old-cause = Le compilateur est trop ancien pour le C++ que torch demande ({ $subject }).
cxx-standard-too-old-why = Les en-têtes de torch et le code d’Inductor demandent C++17, les versions récentes C++20, et GCC 9 ou plus. Le compilateur est plus ancien, ou l’extension impose un vieux standard.
cxx-standard-too-old-fix = Installez un compilateur plus récent et indiquez-le dans CXX et CC, ou relevez le standard que l’extension demande.

arch-flags-or-compiler-crash-cause = Le compilateur ne gère pas les instructions du processeur, ou a planté dessus ({ $subject }).
arch-flags-or-compiler-crash-why = -march=native demande tout ce que ce processeur sait faire. Un compilateur ou un assembleur plus ancien que le processeur n’en connaît pas les noms, et certaines versions plantent sur du code vectorisé.
arch-flags-or-compiler-crash-fix = Utilisez un compilateur plus récent avec son assembleur, ou générez des vecteurs plus courts.

compiler-killed-oom-cause = Le compilateur a été tué parce que la mémoire manquait.
compiler-killed-oom-why = Compiler du code torch prend de 1 à 4 Go par processus, et ninja comme Inductor en lancent un par cœur. Le système, ou la limite du conteneur, tue alors le compilateur ; la dernière ligne du journal est seulement celle de l’outil de construction.
compiler-killed-oom-fix = Compilez avec moins de processus (MAX_JOBS=1), ou donnez plus de mémoire.

no-space-left-cause = Il n’y a plus d’espace libre là où sont écrits le code compilé ou les fichiers temporaires ({ $subject }).
no-space-left-why = Les compilateurs écrivent dans TMPDIR et dans les dossiers de cache. Un disque plein, un petit tmpfs, un quota ou des inodes épuisés les arrêtent, souvent sans nommer le chemin.
no-space-left-fix = Libérez de l’espace, ou déplacez TMPDIR et les caches vers un autre disque.

noexec-tmp-cause = Le code compilé ne peut pas être chargé depuis son dossier : le système de fichiers est monté noexec ({ $subject }).
noexec-tmp-why = Le noyau d’Inductor a été compilé, mais le charger demande de projeter le fichier comme exécutable, ce qu’un montage noexec interdit. Le tmpfs de Docker et les systèmes durcis montent /tmp ainsi. Les droits du fichier n’y changent rien.
noexec-tmp-fix = Placez les caches sur un système de fichiers qui autorise l’exécution.

cache-permission-denied-cause = Le dossier de cache appartient à un autre utilisateur ou n’est pas accessible en écriture : { $subject }.
cache-permission-denied-why = Le dossier a été créé par un autre utilisateur (souvent root, ou le premier utilisateur d’une machine partagée), ou HOME n’est pas défini et le chemin part de la racine. Les compilateurs ne peuvent pas y écrire.
cache-permission-denied-fix = Utilisez vos propres dossiers de cache, ou corrigez le propriétaire.

cache-rename-denied-windows-cause = Windows a refusé de renommer un dossier de cache ({ $subject }).
cache-rename-denied-windows-why = Triton et Inductor écrivent dans un dossier temporaire puis le renomment. Windows l’interdit tant qu’un autre processus, ou un antivirus, tient un de ses fichiers, ou quand la cible existe déjà.
cache-rename-denied-windows-fix = Fermez les autres processus Python et supprimez le cache ; donnez le sien à chaque processus ; excluez le dossier de l’antivirus.

read-only-filesystem-cause = Le dossier de cache ou temporaire est sur un système de fichiers en lecture seule ({ $subject }).
read-only-filesystem-why = Les conteneurs à racine en lecture seule, les réglages de sécurité de Kubernetes et les images montées n’autorisent pas l’écriture. Le code compilé demande un dossier accessible en écriture et en exécution.
read-only-filesystem-fix = Faites pointer les variables de cache, et HOME, vers un montage accessible en écriture.

uid-without-passwd-entry-cause = L’identifiant d’utilisateur ({ $subject }) n’a pas d’entrée dans /etc/passwd : le dossier de cache ne peut pas être nommé.
uid-without-passwd-entry-why = Inductor nomme son cache d’après l’utilisateur. Les conteneurs qui tournent sous un identifiant arbitraire (docker --user, OpenShift, Kubernetes) n’ont pas de nom pour lui. À partir de torch 2.13, le numéro est utilisé à défaut ; avant, TORCHINDUCTOR_CACHE_DIR seul ne suffit pas toujours.
uid-without-passwd-entry-fix = Définissez USER et LOGNAME, HOME et les variables de cache, ou créez l’utilisateur dans l’image.

illegal-instruction-cause = Le code compilé utilise des instructions que ce processeur n’a pas.
illegal-instruction-why = Le code est compilé pour le processeur de la machine qui compile. Un cache ou une bibliothèque AOTInductor venus d’une machine plus récente, ou une machine virtuelle qui cache des fonctions, finissent en instruction illégale.
illegal-instruction-fix = Supprimez le code en cache et compilez ici, ou compilez pour le plus ancien processeur utilisé.

precompiled-header-cause = Un en-tête précompilé ne convient plus et a été refusé.
precompiled-header-why = Inductor précompile les en-têtes de torch. Quand la date d’un en-tête, ou la version ou les options du compilateur changent, l’ancien fichier est refusé ; Clang et GCC comparent plus que le contenu.
precompiled-header-fix = Supprimez les en-têtes précompilés ; ils seront refaits.

python-version-unsupported-cause = Ce torch ne prend pas en charge Python { $subject } dans torch.compile.
python-version-unsupported-why = Chaque version de torch prend en charge les Python connus à sa sortie ; Dynamo lit le bytecode, qui change avec chaque Python. Pour Python { $python }, le premier torch dont torch.compile fonctionne est { $torch } (vérifié en { $checked }).
python-version-unsupported-fix = Mettez torch à jour ; { $torch } ou plus récent prend en charge Python { $python }. Ne changez de Python que si torch ne peut pas être mis à jour.

triton-missing-cause = Triton n’est pas installé dans l’environnement qui exécute torch ({ $subject }).
triton-missing-why = Inductor compile les noyaux GPU avec Triton. Le Triton officiel n’a de paquets que pour Linux ; sous Windows, c’est le paquet triton-windows. Un simple pip a aussi pu l’installer pour un autre Python.
triton-missing-fix = Installez-le avec le même interpréteur : python -m pip.

triton-torch-version-mismatch-cause = Le Triton installé ne convient pas à ce torch ({ $subject }).
triton-torch-version-mismatch-why = Inductor utilise les API internes de Triton, donc chaque torch demande une version de Triton ; une autre, souvent une version de développement ou mise à jour par un autre paquet, n’a pas ce que torch importe.
triton-torch-version-mismatch-fix = Installez la version de Triton que nomment les métadonnées de torch.

ptxas-too-old-cause = L’assembleur CUDA (ptxas) est plus ancien que le GPU ou que le code ({ $subject }).
ptxas-too-old-why = Triton embarque un ptxas, qui ne connaît que les GPU de son temps. Un GPU plus récent, ou une version plus récente du code intermédiaire, est refusé.
ptxas-too-old-fix = Mettez à jour torch et Triton, ou faites pointer TRITON_PTXAS_PATH vers le ptxas d’un CUDA plus récent.

undefined-symbol-abi-cause = Une extension compilée a été construite pour un autre torch : { $subject } n’existe pas dans celui qui est installé.
undefined-symbol-abi-why = L’interface C++ de torch change d’une version à l’autre. Une extension compilée plus tôt ({ $detail }), ou un paquet fait pour un autre torch, demande des symboles qui n’y sont plus.
undefined-symbol-abi-fix = Supprimez ou reconstruisez l’extension, ou installez la version faite pour ce torch.

libc-headers-missing-cause = Des en-têtes ou des fichiers de démarrage de la bibliothèque C ou C++ manquent ({ $subject }).
libc-headers-missing-why = Le compilateur est là, mais pas les fichiers de développement de la bibliothèque système (libc6-dev, libstdc++-dev), ou un compilateur conda ne cherche que dans son propre sysroot, où le fichier manque.
libc-headers-missing-fix = Installez les fichiers de développement des bibliothèques C et C++ ; avec le compilateur de conda, celui qui manque depuis conda-forge (crypt.h : libxcrypt).

ninja-missing-cause = L’outil de construction ninja n’est pas installé ou n’est pas dans PATH.
ninja-missing-why = torch.utils.cpp_extension construit avec ninja. Si l’environnement n’est pas activé, le programme d’un paquet installé n’est pas trouvé non plus.
ninja-missing-fix = Installez ninja dans l’environnement, dont le dossier bin doit être dans PATH.

cuda-home-not-set-cause = Aucun CUDA Toolkit n’a été trouvé (nvcc, { $subject }).
cuda-home-not-set-why = Les extensions CUDA sont compilées avec nvcc. Les paquets de torch apportent les bibliothèques CUDA, pas le compilateur ; un pilote n’est pas un toolkit.
cuda-home-not-set-fix = Installez le toolkit de la version que donne torch.version.cuda, et définissez CUDA_HOME.

cuda-version-mismatch-cause = Le CUDA Toolkit ({ $subject }) n’est pas celui avec lequel torch a été construit ({ $detail }).
cuda-version-mismatch-why = Les extensions doivent être compilées avec la même version majeure de CUDA que torch. Le premier nvcc de PATH, ou CUDA_HOME, en est une autre.
cuda-version-mismatch-fix = Faites pointer CUDA_HOME et PATH vers un toolkit qui convient, ou installez un torch construit pour le vôtre. Retirer la vérification est dangereux.

nvcc-rejects-gcc-cause = nvcc n’accepte pas ce compilateur hôte (il accepte jusqu’à la version { $subject }).
nvcc-rejects-gcc-why = Chaque version de CUDA prend en charge les compilateurs jusqu’à une certaine version ; les distributions en apportent de plus récents.
nvcc-rejects-gcc-fix = Installez un gcc plus ancien à côté et indiquez-le, ou utilisez un CUDA plus récent.

conda-compiler-clash-cause = Le compilateur ou l’éditeur de liens de conda est en conflit avec des bibliothèques extérieures ({ $subject }).
conda-compiler-clash-why = Les compilateurs de conda ont leur propre bibliothèque C, plus ancienne, et ne cherchent que dans l’environnement. Les paquets de torch, la bibliothèque du pilote et celles du système viennent d’ailleurs et en veulent une plus récente.
conda-compiler-clash-fix = Compilez avec le compilateur du système, ou prenez torch, compilateur et sysroot tous de conda-forge.

path-with-spaces-cause = Un chemin contenant un espace a été coupé dans la commande du compilateur ({ $subject }).
path-with-spaces-why = Un dossier de cache, d’environnement ou d’utilisateur contient un espace dans son nom, et la commande a été composée sans guillemets. Le compilateur prend les deux moitiés pour deux fichiers.
path-with-spaces-fix = Utilisez un dossier sans espace pour le cache et pour l’environnement ; les versions récentes mettent plus de chemins entre guillemets.

path-too-long-windows-cause = Un chemin du cache dépasse ce que Windows permet (260 caractères ; ici { $subject }).
path-too-long-windows-why = Les noyaux portent le nom des opérations qu’ils fusionnent, dans des dossiers nommés d’après une empreinte (hash), eux-mêmes dans votre dossier temporaire. Le fichier semble « introuvable » parce que son nom est trop long.
path-too-long-windows-fix = Utilisez un dossier de cache très court, ou autorisez les chemins longs.

unicode-decode-compiler-output-cause = La sortie du compilateur n’a pas pu être décodée en { $subject }.
unicode-decode-compiler-output-why = Un compilateur localisé écrit dans la page de codes du système, et torch l’a lu comme de l’UTF-8. La compilation elle-même peut être bonne.
unicode-decode-compiler-output-fix = Faites afficher en anglais les messages du compilateur, ou mettez torch à jour : il remplace ces octets.

compile-subprocess-died-cause = Un processus qui compile des noyaux s’est arrêté brutalement.
compile-subprocess-died-why = Inductor compile dans des processus auxiliaires. L’un d’eux s’est terminé par un plantage, un manque de mémoire ou un signal, ou a transmis une erreur ; le message du parent cache la raison.
compile-subprocess-died-fix = Définissez TORCHINDUCTOR_COMPILE_THREADS=1 pour voir la vraie erreur, et vérifiez les limites de mémoire.

cuda-h-missing-cause = Les en-têtes de CUDA manquent ({ $subject }).
cuda-h-missing-why = Le code qui parle à CUDA inclut ses en-têtes. Les anciens Triton, les paquets Triton des distributions et les extensions les prennent dans CUDA_HOME, où il n’y a pas de toolkit, ou seulement sa partie d’exécution.
cuda-h-missing-fix = Installez les fichiers de développement du toolkit et définissez CUDA_HOME ; les Triton récents apportent cuda.h.

stale-build-lock-hang-cause = La construction d’une extension attend un verrou laissé par une construction interrompue ({ $subject }).
stale-build-lock-hang-why = torch.utils.cpp_extension marque une construction en cours par un fichier nommé lock. Une construction tuée ne l’enlève jamais, et toutes les suivantes attendent sans fin et sans message.
stale-build-lock-hang-fix = Assurez-vous qu’aucune construction ne tourne, supprimez le verrou, recommencez.

setuptools-missing-cause = Le paquet { $subject } manque : setuptools n’est pas installé.
setuptools-missing-why = Triton et torch.utils.cpp_extension importent setuptools. Les environnements créés par uv, ou avec Python 3.12 et plus, ne le contiennent pas, et distutils a alors quitté la bibliothèque standard.
setuptools-missing-fix = Installez setuptools dans l’environnement.

ldconfig-missing-cause = Triton a besoin du programme ldconfig, qui n’est pas à { $subject }.
ldconfig-missing-why = Triton lance /sbin/ldconfig pour trouver la bibliothèque du pilote. NixOS, Alpine et de très petites images ne l’ont pas à cet endroit.
ldconfig-missing-fix = Fournissez-le, ou donnez à Triton le dossier de libcuda par TRITON_LIBCUDA_PATH.

half-installed-toolchain-cause = Le compilateur n’est installé qu’à moitié : il ne peut pas lancer { $subject }.
half-installed-toolchain-why = gcc ne fait qu’appeler d’autres programmes : le compilateur C++ (cc1plus), l’assembleur (as) et l’éditeur de liens (ld) viennent d’autres paquets. CXX=gcc sans g++, ou une image sans binutils, en laissent manquer un.
half-installed-toolchain-fix = Installez la chaîne complète : g++ et binutils.

openssl-program-missing-cause = Inductor lance le programme openssl, qui n’est pas installé.
openssl-program-missing-why = Il s’en sert pour l’empreinte de l’en-tête précompilé. La bibliothèque seule, que Python possède, ne suffit pas ; les images minimales n’ont pas le programme.
openssl-program-missing-fix = Installez le paquet openssl.

network-filesystem-cache-cause = Le cache de compilation est sur un système de fichiers réseau que plusieurs processus modifient à la fois ({ $subject }).
network-filesystem-cache-why = Renommer et charger des bibliothèques sur NFS échoue avec des descripteurs périmés ou des fichiers occupés quand des rangs ou des travaux partagent un cache.
network-filesystem-cache-fix = Gardez les caches sur un disque local, un par nœud ou par rang.

gxx-spawn-bad-address-cause = Le système n’a pas pu lancer le compilateur { $subject } : « Bad address ».
gxx-spawn-bad-address-why = Le lancement d’un processus a échoué dans l’appel système. Une mémoire abîmée dans le processus, un noyau système ou un bac à sable inhabituels, ou un bloc d’environnement corrompu en sont la cause ; le compilateur n’a jamais démarré.
gxx-spawn-bad-address-fix = Relancez le programme ; s’il échoue encore, lancez le compilateur à la main dans le même environnement, cherchez bacs à sable et limites, et réinstallez-le s’il échoue là aussi.

nvcc-not-executable-wsl-cause = Le programme { $subject } a été trouvé mais ne peut pas être exécuté.
nvcc-not-executable-wsl-why = torch demande sa version à nvcc, seulement pour écrire un commentaire. Sous WSL, PATH contient des dossiers de Windows dont Linux ne peut pas exécuter les fichiers, et torch, avant la correction, ne tolère qu’un fichier absent.
nvcc-not-executable-wsl-fix = Retirez ce dossier de PATH ou corrigez les droits ; un torch plus récent ignore l’erreur.

nvcc-too-old-for-gpu-cause = nvcc est plus ancien que le GPU pour lequel il doit compiler ({ $subject }).
nvcc-too-old-for-gpu-why = Chaque version de CUDA Toolkit connaît les GPU de son époque. L’extension demande l’architecture du GPU de cette machine, ou celle de TORCH_CUDA_ARCH_LIST, et le premier nvcc trouvé ne la connaît pas. La version de CUDA de torch est distincte et peut être assez récente.
nvcc-too-old-for-gpu-fix = Installez le CUDA Toolkit de la version indiquée par torch.version.cuda, puis faites pointer CUDA_HOME et PATH vers lui.

torch-missing-in-build-cause = Le paquet est construit dans un environnement isolé qui ne contient pas torch.
torch-missing-in-build-why = pip et uv construisent un paquet dans un environnement neuf qui ne contient que ce que le paquet déclare. Son setup.py importe torch sans le déclarer ; que torch soit installé dans votre environnement n’y change rien.
torch-missing-in-build-fix = Désactivez l’isolation de la construction, après avoir installé torch et les outils de construction.

python-library-missing-cause = L’éditeur de liens n’a pas trouvé la bibliothèque de Python ({ $subject }).
python-library-missing-why = Sous Windows, une extension est liée à python3xx.lib, absent de la distribution « embeddable » de Python et de certains environnements virtuels. Sous Linux, une commande qui demande -lpython3.x nécessite le paquet de développement, qui fournit le lien symbolique de la bibliothèque.
python-library-missing-fix = Fournissez la bibliothèque de cette version exacte de Python.

xpu-toolchain-missing-cause = Une partie de la pile GPU d’Intel est introuvable ({ $subject }).
xpu-toolchain-missing-why = Le backend de Triton pour les GPU Intel compile un module auxiliaire avec Level Zero et SYCL. Le pilote fournit les bibliothèques, pas les fichiers d’en-tête, et pas toujours ocloc, qui traduit les noyaux en code machine.
xpu-toolchain-missing-fix = Installez les fichiers de développement de Level Zero et le compilateur oneAPI, puis chargez leur environnement.

rocm-toolchain-missing-cause = Un élément de ROCm est introuvable ({ $subject }).
rocm-toolchain-missing-why = Pour les GPU AMD, Triton et les extensions utilisent les fichiers d’en-tête de HIP, sa bibliothèque et l’éditeur de liens de ROCm. Les wheels ROCm de torch apportent les bibliothèques d’exécution, pas tout ce qu’il faut pour compiler, et cherchent dans /opt/rocm sauf indication contraire.
rocm-toolchain-missing-fix = Installez les paquets de développement ROCm de la version indiquée par torch.version.hip, ou indiquez le dossier où ils se trouvent.
