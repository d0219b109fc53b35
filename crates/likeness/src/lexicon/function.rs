//! Words that carry grammar or politeness, words that deny by their meaning, and a few synonyms.

/// Articles, pronouns, prepositions, auxiliaries, particles, and the verbs every question may have.
pub const FUNCTION: &str = "
->
a an the this that these those it its is are am be been being was were do does did done has have had having
i me my mine we us our you your he she they them him her his their there here to of in on at by for from with into
onto and or but if then so as than too also just only very can could will would shall may might must should
what which who whom whose when where why how s m re ve d t not no any some each about up out off over under
per pro par je get got member members give gives tell let s make please now still yet ever again what's that's one ones something anything
der die das den dem des ein eine einen einem einer eines ist sind bin bist sei sein war waren wird werden wurde
wurden worden habe hat haben hatte hatten ich mir mich mein meine meinen meinem meiner meines wir uns unser unsere
unseren unserem unserer du dir dich dein deine sie ihnen ihr ihre ihren ihrem ihrer er ihn ihm es man euch
in im an am auf aus bei beim mit nach von vom vor zu zum zur fuer ueber unter um durch gegen ohne als wie wenn ob dass
und oder aber denn doch mal noch schon auch nur so da dann hier dort dazu davon dafuer damit daran darauf dabei
was wer wen wem wessen wo wann warum wieso weshalb welche welcher welches welchen welchem wofuer womit woran woher
kann kannst koennen koennt koennte darf duerfen muss muessen soll sollen sollte will wollen moechte gibt geht gehen
machen mache macht tun tue tut bitte etwas eigentlich sich selbst denn jetzt gerade diese dieser dieses diesem
diesen jede jeder jedes alle lassen lasse laesst bekomme bekommen gern gerne hin her ab an ein hab habt
le la les l un une des du de d au aux ce cet cette ces c est sont suis etre ete etait sera ai as a ont avons avez
avoir j je me m moi tu te t toi il elle on nous vous ils elles se s lui leur leurs mon ma mes ton ta tes son sa ses
notre nos votre vos y en qui que qu quoi quel quelle quels quelles dont ou quand comment pourquoi combien
dans par pour sur sous avec sans chez vers et mais donc or ni car si ne n pas plus moins aussi bien deja encore
peut peux puis puisse pouvez pouvons peuvent dois doit devoir faut faire fait faites fais va vais aller cela ca
quelqu un lequel laquelle quelque chose tout toute tous toutes meme svp merci
";

/// What wraps a question and asks nothing, wherever it stands.
pub const POLITE: &str = "
hello hi hey dear thanks thank please sorry kindly cheers regards greetings pls
hallo moin danke dank bitte entschuldigung entschuldigen verzeihung gruss gruesse servus
bonjour bonsoir salut merci svp plait desole desolee excusez pardon cordialement
";

/// What begins an address, up to a comma.
pub const ADDRESS: &str = "
dear hello hi hey good hallo moin liebe lieber liebes sehr guten servus bonjour bonsoir salut cher chere chers cheres
madame monsieur mesdames messieurs
";

/// What thanks and takes leave.
pub const PARTING: &str = "
thanks thank thankful cheers regards greetings hello hi hey dear sincerely appreciated
danke dank gruss gruesse gruessen hallo moin servus merci bonjour bonsoir salut cordialement salutations bientot
";

/// What a sentence about the asking has in it, at either end of a text.
pub const ABOUT_ASKING: &str = "
hope well new bother bear pointer quick question questions wondering advance appreciate appreciated grateful patience
looked searched search googled found faq docs documentation manual wiki intranet forum urgent hurry beginner newbie
silly dumb maybe asking asked curious morning afternoon day know following sec second seconds minute moment rush request enquiry inquiry
everyone everybody folks team colleagues hopefully idea stuck lost understand sure help helped advise advice enquiry
apologies apologise apologize evening helpdesk wishes circles wave excuse trouble time first busy short brief favour favor thankful asap soon reply answer answers stupid silly dumb
eilt eilig dringlich folgendes folgende sekunde sekunden minute minuten moment anliegen wissen anfrage
hoffe neu hilfe hilfeseite hilfeseiten gesucht gefunden handbuch forum eilig dringend frage fragen geduld dankbar
anfaenger anfaengerin kenne stoere voraus gruessen schoenen schoene freundlichen lieben leute team weiter ratlos weiss ahnung helfen hilft antwort rueckmeldung bescheid eile kurz bloede dumme verstehe runde tag morgen kollegen
voici demande suivante suivant urgent urgente minute seconde moment
espere nouveau nouvelle debute debutant debutante aide cherche trouve presse question patience reconnaissant avance
aider aidez aide savoir sais idee bonne soiree beaucoup reponse retour urgence perdu perdue comprends bete collegues monde
deranger indulgents indulgent journee equipe renseignement
";

/// Words of asking: one of them in the place of another changes nothing, unless all the rest is the same.
pub const ASKING: &str = "
ok okay possible possibility grund reason raison moeglich moeglichkeit options option
tell know wonder wondering ask asking like love help wish sagen wissen weiss weisst wuesste fragen frage hilf helfen
savoir sais savez dire dites aider pouvez pourriez pourrais voudrais aimerais souhaite souhaiterais koenntest koennten wuerde
write draft compose name list show give need want tell explain describe mean means reason formula calculate compute
work works exist exists version happen happened hold follow use used using set remind reminder come comes know
difference differ between vs thing things way ways possible create make put take question questions member members
go goes going leave departure departs return returns gives line enough suffice suffices height tall long reach weigh weighs
schreib schreibe schreiben entwirf verfasse nenne brauche moechte erklaere bedeutet heisst formel berechne berechnen
tauschen viel videos filmt aufnehmen reichen genuegt spaet uhrzeit unterschied unterscheiden zwischen worin leitung
ecris redige redigez cite donne explique definition signifie veut dire existe version besoin faudrait mets rappel
calculer formule prendre tourner filme horaire part depart heure
";

/// Words that deny what follows them, so that one `not` more on the other side may still be the same question.
pub const IMPLICIT: &str = "
impossible unable stop stopped stops fail fails failed forbidden prohibited prevent prevents missing lack lacks
without avoid leave left quit hate exclude excluded hangs unassigned unreserved only stuck refuse refuses
unmoeglich fehlt fehlen verhindern verhindere verboten untersagt verlassen vermeiden falsch leer weigert
empeche empecher interdit interdite eviter manque quitte defendu faux
unmatched wrong unnecessary superfluous superflus inutiles ueberfluessig unnoetig dispense
";

/// Each line means one thing; the first word stands for all.
pub const SYNONYMS: &str = "
employee employees staff personnel worker workers
mitarbeiter mitarbeiterin angestellte beschaeftigte belegschaft
employe employes salarie salaries
laptop notebook
phone handset handy telefon mobiltelefon telephone
mail email mails emails message
delete erase remove
loeschen entfernen
supprimer effacer
company firm corporate
firma unternehmen betrieb
societe entreprise
picture image photo
bild foto
begin start
beginnen anfangen starten
commencer debuter
big large
gross grosse
buy purchase
kaufen erwerben
acheter
price cost
preis kosten
prix cout
answer reply
antworten erwidern
repondre
invoice bill
rechnung
show display
zeigen anzeigen
afficher montrer
fix repair
reparieren
reparer
error fault
fehler
need require
brauchen benoetigen
holiday vacation
urlaub ferien
vacances conges conge
car vehicle
auto wagen pkw
voiture vehicule
allowed permitted
erlaubt gestattet zulaessig
permis autorise autorisee permise
password
passwort kennwort
document file
mean average
mittelwert durchschnitt
azubi auszubildende auszubildender azubis
uk britain grossbritannien
allow permit
help support
summarise summarize
explain explication
deliver delivers delivered delivery deliveries ship ships shipped shipping shipment
exchange swap swaps swapped swapping
parcel parcels package packages
voucher vouchers coupon coupons
change changes changed changing modify amend alter
shop shops store stores
fee fees charge charges
salary wage wages pay
doctor physician
lawyer attorney solicitor
flat apartment
rubbish trash garbage
fridge refrigerator
television tv
bike bicycle
movie film
sick ill
sickness illness
medicine medication
journey trip
paket sendung
liefern zustellen
gutschein coupon
artikel produkt
aendern abaendern
wohnung apartment
rad fahrrad
arzt aerztin doktor
gehalt lohn
fernseher tv
rechner computer pc
laden geschaeft filiale
kaputt defekt
billig guenstig preiswert
livrer livraison expedier expedition
colis paquet
article produit
modifier changer
magasin boutique
velo bicyclette
medecin docteur
salaire paie remuneration
frigo refrigerateur
tele television
ordinateur pc
";
