# Ce que `doctor` dit d'une machine et de sa réparation.

ui-problems = Autres problèmes de cette machine
machine-interpreter-gone = L’interpréteur { $path } ne fonctionne pas : { $reason }.
machine-environment-gone = L’environnement virtuel { $environment } a perdu son interpréteur : { $reason }. Recréez-le avec un Python présent, puis réinstallez ses paquets : { $command }
inv-shared-memory = Mémoire partagée
fix-shared-memory = agrandissez la mémoire partagée de la machine ou du conteneur (docker run --shm-size 1g)
ui-plan-by-hand = Non réparé automatiquement ici : { $kinds }. Le rapport dit quoi faire à la main.
ui-step-skipped = non exécuté, car une étape précédente a échoué : { $command }
ui-step-undone = annulé : { $path } a été supprimé
ui-load-file = Les variables sont dans ce fichier. Chargez-le dans le shell qui lance votre programme, ou dans le profil du shell : { $line }
ui-repair-incomplete = Tout n’a pas pu être réparé. Sans réseau, récupérez les paquets sur une autre machine ; sans aucune chaîne d’outils, le même modèle fonctionne avec torch.compile(model, backend="ferroductor").
fix-broken-compiler = le programme { $subject } existe mais ne fonctionne pas : retirez-le de PATH, ou nommez un autre compilateur
fix-reinstall-compiler = le programme { $subject } existe mais ne s’exécute pas : il est abîmé, n’est pas exécutable ou a été compilé pour une autre machine ; réinstallez son paquet
machine-foreign-headers = La variable { $variable } mène aux en-têtes de Python { $version } dans { $folder }. Les compilations d’extensions les prennent au lieu de ceux du Python examiné, { $python } : retirez le dossier de { $variable }.
machine-memory-limit = Le cgroup limite la mémoire à { $size } Mio. Un compilateur à côté d’un processus avec torch a besoin d’environ 1024 Mio et sera tué : donnez-en plus (docker run --memory 4g), ou compilez un fichier à la fois (MAX_JOBS=1 TORCHINDUCTOR_COMPILE_THREADS=1).
