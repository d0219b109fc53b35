//! Oppositions: what stands at one side of a bar excludes what stands at another.

/// Kind, then the poles. `?` makes a line weak; `=` keeps a word from being met by its stem.
pub const POLES: &str = "
direction: install installation installieren installiere installer ajouter | uninstall deinstall deinstallieren deinstalliere desinstaller
direction: multiply multiplying multiplication multiplizieren multipliziere multiplier | divide dividing division dividieren dividiere teilen diviser
direction: square quadrieren | root wurzel racine
direction: publish published veroeffentlichen publier | unpublish unpublished zurueckziehen depublier
direction: pin anheften epingler | unpin loesen desepingler
direction: archive archivieren archiver | unarchive dearchivieren desarchiver
direction: sunrise sonnenaufgang | sunset sonnenuntergang
direction: inhale einatmen inspirer | exhale ausatmen expirer
direction: clockwise uhrzeigersinn | anticlockwise counterclockwise gegenuhrzeigersinn
direction: bride braut mariee | groom braeutigam
direction: payer zahler zahlungspflichtiger payeur | payee zahlungsempfaenger beneficiaire
direction: exporter exporteur exportateur | importer importeur importateur
direction: wholesale grosshandel grossiste | retail einzelhandel detaillant
direction: upstream stromaufwaerts amont | downstream stromabwaerts aval
direction: plug anstecken brancher | unplug ausstecken debrancher
direction: praise loben feliciter | criticise criticize kritisieren critiquer
direction: prosecution staatsanwaltschaft accusation | defence defense verteidigung
direction: deflation | inflation
entity: snow snowing schnee schneien schneit neige neiger | rain raining regen regnen regnet pluie pleuvoir pleut | hail hagel hageln grele
entity: vegan vegane veganes | vegetarian vegetarisch vegetarien
entity: spring fruehling fruehjahr printemps | summer sommer ete | autumn herbst automne | winter hiver
entity: breakfast fruehstueck petit-dejeuner | lunch mittagessen dejeuner | dinner supper abendessen diner
entity: red rot rote roten rouge rouges | blue blau blaue blauen bleu bleue bleus | green gruen gruene gruenen vert verte verts | yellow gelb gelbe gelben jaune jaunes | black schwarz schwarze schwarzen noir noire noirs | white weiss weisse weissen blanc blanche blancs | brown braun braune braunen marron brun
entity: train trains zug bahn zuege | bus buses busse autobus autocar | plane flight flights flug flugzeug fluege avion vol | ferry faehre ferry | tram strassenbahn tramway | taxi | bicycle bike fahrrad rad velo
entity: dog dogs hund hunde chien chiens | cat cats katze katzen chat chats | rabbit rabbits kaninchen lapin lapins | horse horses pferd pferde cheval chevaux | hamster | bird birds vogel voegel oiseau oiseaux
entity: cash bargeld bar especes | paypal | cheque check scheck
entity: electricity strom electricite | water wasser eau | gas gaz
entity: gold or | silver silber argent | bronze
entity: passport reisepass passeport | identity personalausweis identite | licence fuehrerschein permis | visa visum
entity: birth geburt naissance | death tod deces mort | marriage wedding heirat hochzeit mariage | divorce scheidung
entity: mysql | postgres postgresql | sqlite | oracle | mongodb | redis
entity: aws | azure | gcp
entity: chrome | firefox | edge | safari
entity: excel | powerpoint | outlook | onenote
entity: slack | teams | zoom
entity: tennis | football soccer fussball | basketball | volleyball | handball | golf | rugby | badminton
entity: piano klavier | guitar gitarre guitare | violin geige violon | flute floete | drums schlagzeug batterie | cello violoncelle
entity: hand hands haende main mains | foot feet fuss fuesse pied pieds | knee knie genou | shoulder schulter epaule | back ruecken dos | elbow ellbogen coude
entity: theft stolen diebstahl gestohlen vol vole | fire feuer brand incendie | flood hochwasser inondation
entity: invoice rechnung facture | quote quotation angebot devis | receipt quittung kassenbon recu | reminder mahnung relance
entity: kitchen kueche cuisine | bathroom badezimmer bad | bedroom schlafzimmer chambre | cellar basement keller cave | attic dachboden grenier | garage
entity: cpu processor prozessor processeur | gpu | ram
entity: keyboard tastatur clavier | mouse maus souris | monitor bildschirm ecran | printer drucker imprimante | headset kopfhoerer casque
entity: bachelor licence | master | doctorate phd doktor promotion doctorat
direction: row rows zeile zeilen ligne lignes | column columns spalte spalten colonne colonnes
direction: width wide breite breit largeur large | height high hoehe hoch hauteur haut | depth deep tiefe tief profondeur profond
direction: request requests anfrage anfragen requete requetes | response responses antwort antworten reponse reponses
direction: server serveur | client clients
direction: frontend | backend
direction: hardware materiel | software logiciel
direction: stdout | stderr | stdin
direction: repair reparieren reparatur reparer reparation | replace replacement ersetzen austauschen austausch remplacer remplacement
direction: print drucken ausdrucken imprimer impression | scan scannen einscannen numeriser
direction: encrypt | sign signieren unterschreiben signer
direction: commit | rollback
direction: ascend climb aufsteigen monter | descend absteigen descendre
direction: sow saeen aussaeen semer | harvest ernten recolter
direction: assemble zusammenbauen aufbauen assembler monter | disassemble dismantle zerlegen abbauen demonter
direction: teacher lehrkraft prof | headteacher schulleiter schulleitung principal directeur directrice
direction: manager supervisor vorgesetzter vorgesetzte superieur | subordinate untergebene
direction: singular einzahl singulier | plural mehrzahl pluriel
direction: even gerade pair | odd ungerade impair
direction: positive positiv positif | negative negativ negatif
direction: major dur majeur | minor moll mineur
direction: sharp kreuz diese | flat bemol
direction: acid sauer acide | alkaline alkalisch basique
time: yesterday gestern hier | today heute aujourd'hui | tomorrow morgen demain
time: old former frueherer ehemaliger ancien | current aktueller jetziger actuel | future kuenftiger zukuenftiger futur
direction: lend leihen | borrow
direction: give gave geben donner | take took nehmen prendre
direction: ask fragen demander | answer antworten repondre
direction: enter betreten entrer | exit sortir austreten
direction: inflate gonfler | deflate degonfler
direction: teach lehren enseigner | learn lernen apprendre
direction: attach anhaengen joindre | detach detacher
direction: expand erweitern ausklappen | collapse zuklappen replier
direction: zoom-in vergroessern agrandir enlarge | zoom-out verkleinern reduire shrink
direction: compress komprimieren compresser zip | decompress extract entpacken decompresser unzip
direction: freeze einfrieren congeler | thaw defrost auftauen decongeler
direction: heat erhitzen aufwaermen chauffer | cool kuehlen abkuehlen refroidir
direction: tighten anziehen festziehen serrer | loosen lockern losdrehen desserrer
direction: fill fuellen befuellen auffuellen remplir | empty leeren entleeren vider
direction: wet nass mouille | dry trocken sec
direction: full voll plein | empty leer vide
direction: old alt alte alten vieux vieille | new neu neue neuen neuer nouveau nouvelle | =used gebraucht occasion
direction: right rechts droite | =left links gauche
direction: inside innen drinnen dedans indoors interieur | outside aussen draussen dehors outdoors exterieur
direction: front vorne vorder devant | back hinten rueck arriere derriere
direction: top oben haut | bottom unten bas
direction: north nord | south sued sud | east ost | west ouest
direction: incoming inbound eingehend eingehende eingehenden entrant entrants entrante | outgoing outbound ausgehend ausgehende ausgehenden sortant sortants sortante
direction: input eingabe entree | output ausgabe sortie
direction: asset actif | liability passif
direction: import einfuhr | export ausfuhr
direction: promote befoerdern promouvoir | demote degradieren retrograder
direction: hired eingestellt embauche | fired gekuendigt licencie
direction: read lesen lire | write schreiben ecrire
direction: push schieben pousser | pull ziehen tirer
direction: begin beginnen commencer | finish beenden terminer finir
direction: block blockieren bloquer | unblock allow freigeben debloquer
direction: winner gewinner gagnant vainqueur | loser verlierer perdant
direction: husband ehemann mari | wife ehefrau epouse
direction: parent parents eltern | child children kinder
direction: doctor arzt aerztin medecin | patient patientin
direction: teacher lehrer lehrerin enseignant | pupil student schueler schuelerin eleve
direction: guest gast gaeste invite | host gastgeber hote
direction: author autor auteur | reader leser lecteur
direction: maternity mutterschaft maternite | paternity vaterschaft paternite
direction: gross brutto brut | =net =netto
direction: credit guthaben | debit lastschrift soll
direction: weight-loss abnehmen maigrir | zunehmen grossir
direction: dark dunkel sombre | light hell clair bright
direction: strong stark fort | weak schwach faible
direction: thick dick epais | thin duenn mince
direction: hard hart dur | soft weich mou
direction: sweet suess sucre | salty salzig sale | sour sauer acide
direction: vertical senkrecht | horizontal waagerecht
direction: public oeffentlich | private privat prive confidential
direction: permanent unbefristet | temporary befristet temporaire
direction: online | offline
direction: female weiblich femme woman frauen women | male maennlich homme man maenner men
direction: enable activate activer activez aktivieren aktiviere einschalten einschalte anmachen anschalten | disable deactivate desactiver desactivez deaktivieren deaktiviere ausschalten ausschalte ausmachen abschalten
direction: increase rise rose risen raise grow grew grown augmenter augmente augmentation hausse steigen stieg gestiegen erhoehen erhoehe erhoehung zugelegt zunehmen zugenommen | decrease fall fell fallen drop dropped reduce reduction shrink decline diminuer diminue diminution baisser baisse sinken sank gesunken senken senke senkung nachgelassen abnehmen abgenommen reduire reduzieren verringern
direction: accept accepted accepter acceptation annehmen annehme zusagen zusage | decline declined reject rejected refuse decliner decline refuser ablehnen ablehne absagen absage ausschlagen
direction: approve approved genehmigen genehmigt approuver | reject rejected deny ablehnen rejeter
direction: buy bought acheter kaufen kaufe gekauft purchase acquire achat kauf | sell sold vendre verkaufen verkaufe verkauft vente verkauf
direction: win won gewinne gewinnen gewinnt gagner gagne | lose lost verliere verlieren verliert perdre perds
direction: profit profits gain gains gewinn gewinne gewinnen benefice plus-values | loss losses verlust verluste verlusten perte pertes moins-values
direction: encode encoder kodieren codieren verschluesseln encrypt chiffrer | decode decoder dekodieren decodieren entschluesseln decrypt dechiffrer
direction: upgrade aufstufen hochstufen surclasser | downgrade herabstufen runterstufen retrograder
direction: mute muted silent silence stumm stummschalten couper | unmute unmuted laut retablir
direction: ascending aufsteigend croissant oldest aeltesten aelteste anciennes ancien anciens | descending absteigend decroissant newest neuesten neueste neusten recentes recent recents
direction: shorter condense shorten kuerzer kuerzen straffen straffe court courte raccourcir condenser | longer expand lengthen laenger verlaengern ausbauen long allonger developper
direction: arrival arrivals arrive ankunft ankuenfte arrivee arrivees | departure departures depart abflug abfluege abfahrt departs
direction: charged charge debited debit abgebucht abgebuchter belastet debite preleve | credited refunded gutgeschrieben erstattet rembourse credite
direction: lend lent leihe verleihen verleihe preter prete | borrow borrowed ausleihen borge emprunter emprunte
direction: open opened oeffnen oeffne ouvrir ouvre eroeffnen | close closed schliessen schliesse fermer ferme
direction: import importieren importiere importer | export exportieren exportiere exporter
direction: download downloaded herunterladen runterladen telecharger | upload uploaded hochladen televerser
direction: push pushen pousser | pull pullen tirer
direction: lock locked sperren sperre gesperrt verrouiller verrouille bloquer bloque | unlock unlocked entsperren entsperrt deverrouiller debloquer
direction: send sent senden sende gesendet verschicken schicke versenden envoyer envoie expedier | receive received empfangen erhalte erhalten recevoir recois
direction: join beitreten rejoindre | leave verlassen quitter
direction: hire hired einstellen eingestellt embaucher | fire fired dismiss dismissed entlassen licencier
direction: tenant renter mieter mieterin locataire | landlord landlady lessor vermieter vermieterin proprietaire bailleur
direction: buyer kaeufer kaeuferin acheteur | seller verkaeufer verkaeuferin vendeur
direction: lender creditor glaeubiger creancier | debtor borrower schuldner debiteur
direction: employer arbeitgeber arbeitgeberin employeur | =employee =employees arbeitnehmer arbeitnehmerin salarie =employe =employes
direction: sender absender expediteur | recipient receiver empfaenger destinataire
direction: high higher hoch hoher hohen hohe haut haute eleve elevee => | low lower niedrig niedrigen niedriger bas basse =<
direction: recht raison favour favor | unrecht tort
direction: quit resign demissionne demissionner demission | dismiss dismisses fire fires licencie licencier
direction: mount einbauen monter | unmount ausbauen demonter
direction: encourage foerdern encourager | discourage decourager
direction: add hinzufuegen fuege ajouter ajoute addieren addiere addierst | remove entfernen entferne supprimer enlever subtract subtract subtrahieren abziehen =minus retirer
direction: =up hinauf hoch monter | =down hinunter runter descendre
direction: =into | =out
?direction: =on =an =ein | =off =aus =ab
?direction: =in =into | =out
direction: mieten | vermieten
direction: insert einlegen einstecken inserer | eject remove auswerfen ejecter
direction: grant gewaehren erteilen accorder | revoke widerrufen entziehen revoquer
direction: create erstellen anlegen creer | delete erase loeschen supprimer effacer
direction: pause pausieren anhalten | resume fortsetzen reprendre
direction: follow folgen suivre | unfollow entfolgen
direction: revenue income earnings einnahmen einkuenfte recettes revenus | expenses expense spending ausgaben depenses
direction: supply angebot offre | demand nachfrage demande
direction: plaintiff claimant klaeger klaegerin plaignant | defendant beklagter beklagte defendeur
direction: cause ursache cause | effect wirkung effet consequence
direction: immigrate einwandern immigrer | emigrate auswandern emigrer
direction: interviewer | candidate applicant bewerber bewerberin candidat
direction: donor spender donneur | beneficiary beguenstigter beneficiaire
direction: insurer versicherer assureur | insured versicherter versicherte assure
direction: franchisor franchisegeber | franchisee franchisenehmer
direction: licensor lizenzgeber | licensee lizenznehmer
direction: mother mutter mere | father vater pere
direction: son sohn fils | daughter tochter fille
direction: brother bruder frere | sister schwester soeur
direction: win gewinn | lose verlust
modality: mandatory obligatory compulsory pflicht verpflichtend vorgeschrieben obligatoire | optional voluntary freiwillig facultatif facultative
time: past vergangene vergangenen passes | upcoming coming kommende kommenden prochains
quantifier: single einzeln einzelne individuel | several multiple mehrere plusieurs
quantifier: half haelfte moitie | double doppelte doppelt twice
direction: start starten starte demarrer | stop stoppen stoppe arreter
direction: show einblenden anzeigen afficher | hide ausblenden verbergen masquer
direction: merge zusammenfuehren fusionner | split aufteilen trennen scinder
direction: save sichern enregistrer | discard verwerfen
direction: backup sauvegarder | restore wiederherstellen restaurer
direction: connect verbinden connecter | disconnect trennen deconnecter
direction: subscribe abonnieren abonner | unsubscribe abbestellen desabonner resilier
direction: deposit einzahlen deposer | withdraw abheben retirer
direction: advantage advantages benefit benefits pros vorteil vorteile avantage avantages | disadvantage disadvantages drawback drawbacks cons nachteil nachteile inconvenient inconvenients
direction: hot heiss chaud warm | cold kalt froid
direction: safe sicher sure | unsafe dangerous unsicher gefaehrlich dangereux
direction: cover covers covered abgedeckt deckt couvre couverts couvert inclus | exclude excludes excluded ausgeschlossen exclut exclus
direction: cheap cheaper cheapest guenstig guenstiger billig billiger | expensive teuer teurer cher chere
direction: fast faster schnell schneller rapide vite | slow slower langsam langsamer lent lente
direction: warmer waermer | colder kaelter
negation: known bekannt bekannten bekannter connu connue | unknown unbekannt unbekannten stranger inconnu inconnue
negation: necessary needed required noetig erforderlich necessaire necessaires requis | unnecessary superfluous unnoetig ueberfluessig superflus inutile inutiles
negation: assigned zugeordnet attribue attribuees | unassigned
negation: possible moeglich | impossible unmoeglich
negation: including include included inklusive einschliesslich compris incluant inclus | excluding exclude excluded without ohne sans ausser except hors
negation: =with =mit =avec | =without =ohne =sans
negation: legal legale erlaubt | illegal illegale verboten interdit
negation: allowed permitted =can =may =darf =duerfen =peut =peux erlaubt gestattet permis autorise | forbidden prohibited verboten untersagt interdit defendu
negation: valid gueltig valable valide | invalid ungueltig invalide =expired =abgelaufen
?negation: =for =fuer =pour | =against =gegen =contre
negation: always immer toujours | never nie niemals jamais
negation: everybody everyone jeder tout | nobody niemand personne
quantifier: =over above exceeding =ueber oberhalb =dessus upwards =mehr =plus =more davantage => | =under below =unter unterhalb =dessous =weniger =moins =less fewer =<
?quantifier: =a =an =one =eine =einen =un =une | =all =every =alle =tous =toutes
quantifier: minimum minimal least mindestens mindest wenigstens minimale mindestbetrag =moins | maximum maximal most hoechstens maximal maximale hoechstbetrag plafond =plus =limit =limite =obergrenze =hoechstzahl
quantifier: most meisten hoechste hoechsten highest biggest largest groesste groessten plus grosse forte | least wenigsten niedrigste niedrigsten lowest smallest kleinste kleinsten petite faible
quantifier: lighter leichter legere leger | heavier schwerer lourde lourd
quantifier: oldest aelteste ancienne vieille | newest latest neueste neuesten recente
quantifier: =first =erste =ersten =erster =erstes earliest frueheste fruehesten premier premiere premiers | =last =letzte =letzten =letzter =letztes latest spaeteste spaetesten dernier derniere derniers
quantifier: larger bigger greater groesser groessere plus | smaller kleiner kleinere
quantifier: everybody everyone everything =all =every =alle =jeder =jede =tous =toutes | somebody someone anybody anyone =some einige =jemand quelqu certains quelques =any | nobody none niemand keiner aucun personne
quantifier: person personne head kopf gast guest guests gaeste | table tisch
quantifier: exactly genau exactement | about approximately roughly ungefaehr etwa environ
quantifier: average mean durchschnitt mittelwert durchschnittlich moyenne moyen | median mediane | total sum summe insgesamt somme
quantifier: often oft souvent | rarely seldom selten rarement
quantifier: daily taeglich quotidien | weekly woechentlich hebdomadaire | monthly monatlich mensuel | yearly annual annually jaehrlich annuel
time: =before prior =vor vorher bevor davor avant ahead | =after following =nach nachher nachdem danach apres once sobald | =during =while waehrend pendant
time: last letzte letzten letztes letztem vergangenen derniere dernier passee previous =vorherigen | next naechste naechsten naechstes naechster prochaine prochain | =this =dieses =diesen =diesem =cette
time: morning =morgens frueh vormittag matin | evening abend abends soir night nacht nuit | afternoon nachmittag nachmittags
time: =since =seit depuis | =until =till =bis jusqu
time: start beginning anfang beginn debut | end ende fin
time: early earlier frueher tot | late later spaeter spaet tard
?time: =will =werde =werden =wird =sera =seront =soll | =did =wurde =wurden =hat =haben =had =ete =war
language: english englisch englische englischen englischer anglais anglaise | german deutsch deutsche deutschen deutscher deutschem allemand allemande | french franzoesisch franzoesische franzoesischen franzoesischer franzoesischem francais francaise | spanish spanisch spanische spanischen spanischer espagnol espagnole | italian italienisch italienische italienischen italien | portuguese portugiesisch portugais portugaise | dutch niederlaendisch neerlandais | polish polnisch polonais polonaise | russian russisch russe | chinese chinesisch chinois | japanese japanisch japonais | arabic arabisch arabe | turkish tuerkisch turc | swedish schwedisch suedois | danish daenisch danois | czech tschechisch tcheque | korean koreanisch coreen | greek griechisch grec | latin lateinisch
language: python py | javascript js | bash shell | java | rust | golang | typescript ts | ruby | php | perl | kotlin | swift | scala | powershell | c++ cpp | csharp | haskell | matlab | sql
modality: =must obliged obligatory mandatory compulsory required =muss =muessen pflicht verpflichtet =doit =dois =doivent obligatoire oblige =devons | permitted allowed lawful zulaessig licite =darf =duerfen erlaubt gestattet berechtigt autorise permis permise autorises | advisable recommended =should advised ratsam empfehlenswert =sollte =sollten empfohlen conseille recommande devrait devrais
?modality: =must =need =needs =muss =muessen =doit =dois =doivent obliged =faut tenu zwingend | =may =can =could =darf =duerfen =kann =koennen =peut =puis =peuvent =peux =allowed droit able | =should ought supposed =soll =sollen =sollte
?direction: =will =moechte | =soll
?question: =how =wie =comment | =why =when =where =who =warum =wann =wer =wo =pourquoi =quand =qui
?question: =combien =many | =which =quels =quelles
scope: private personal privat private privates privater privaten privat =perso personnel personnels personnelle prive privee | business dienstlich dienstliche dienstlichen dienstliches professionnel professionnels professionnelle work-related beruflich geschaeftlich job
scope: adult adults erwachsene erwachsenen adulte | child children kind kinder kinds enfant enfants
scope: employee employees staff mitarbeiter mitarbeiterin angestellte salarie salaries | contractor contractors freelancer freelancers freie freien freiberufler independants independant prestataire prestataires | =trainee =trainees apprentice intern azubi azubis auszubildende auszubildenden apprenti apprentis stagiaire stagiaires
scope: individual individuals privatperson privatpersonen privatleute particulier particuliers | company companies kleinunternehmen kleinbetrieb societe
scope: colleague kollegin kollege collegue | department abteilung service | everyone firma entreprise company
scope: internal intern interne | external extern externe
scope: national inland inlaendisch | international ausland auslaendisch abroad etranger
scope: customer client clients customers kunde kunden kundin | supplier suppliers vendor vendors lieferant lieferanten fournisseur fournisseurs
?scope: =my =mine =mein =meine =meinen =meinem =meiner =mon =ma =mes =ich =i =je =j | =our =unser =unsere =unseren =unserem =unserer =notre =nos =team =equipe =abteilung | =his =her =their =seine =ihre =leur =leurs =your =ihr =votre =dein
?question: =why =warum =wieso =weshalb =pourquoi reason grund raison | =when =wann =quand | =where =wo =ou | =who =whom =wer =wen =wem =qui
entity: =mr =herr =herrn =monsieur | =ms =mrs =frau =mme =madame
entity: germany german germans deutschland deutsche deutscher deutschem deutschen allemagne allemand allemande allemands | france french frankreich franzoesisch franzosen francais francaise | uk britain british england grossbritannien britisch royaume-uni | spain spanish spanien espagne | italy italian italien italie | japan japon | india indien inde | china chine | poland polen pologne | austria oesterreich autriche | switzerland swiss schweiz suisse | usa america amerika amerique etats-unis | netherlands niederlande pays-bas | belgium belgien belgique | sweden schweden suede | norway norwegen norvege | denmark daenemark danemark | portugal | ireland irland irlande | canada kanada | brazil brasilien bresil | mexico mexiko mexique | turkey tuerkei turquie | greece griechenland grece | korea coree | australia australien australie
entity: iphone | android | mac macos | windows | browser navigateur | linux
unit: sentence sentences satz saetze saetzen phrase phrases | paragraph paragraphs absatz absaetze absaetzen paragraphe paragraphes | word words wort woerter woertern mot mots | page pages seite seiten
";
