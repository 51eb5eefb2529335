# Ce que `doctor` dit d'une machine et de sa réparation.

ui-problems = Autres problèmes de cette machine
machine-interpreter-gone = L'interpréteur { $path } ne fonctionne pas : { $reason }.
machine-environment-gone = L'environnement virtuel { $environment } a perdu son interpréteur : { $reason }. Recréez-le avec un Python présent, puis réinstallez ses paquets : { $command }
inv-shared-memory = Mémoire partagée
fix-shared-memory = donner plus de place à la mémoire partagée de la machine ou du conteneur
ui-plan-by-hand = Non réparé automatiquement ici : { $kinds }. Le rapport dit quoi faire à la main.
ui-step-skipped = non exécuté, car une étape précédente a échoué : { $command }
ui-step-undone = annulé : { $path } a été supprimé
ui-load-file = Les variables sont dans ce fichier. Chargez-le dans le shell qui lance votre programme, ou dans le profil du shell : { $line }
ui-repair-incomplete = Tout n'a pas pu être réparé. Sans réseau, récupérez les paquets sur une autre machine ; sans aucune chaîne d'outils, le même modèle fonctionne avec torch.compile(model, backend="ferroductor").
