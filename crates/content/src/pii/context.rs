//! Words that make a candidate likelier or less likely, in English, German, French, Spanish and
//! Italian. What was said last and near counts; what is said after a value does not, so that a
//! stream need not wait for it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Kind;
use super::column::Column;

/// What words talk about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Topic {
    Birth,
    Passport,
    Licence,
    Phone,
    /// Verbs and other words that speak of phones now and then.
    Calling,
    Card,
    Bank,
    Network,
    Health,
    /// National ids, tax and social security numbers.
    Identity,
    /// The United States' social security number, which has no check digit.
    SocialSecurity,
    /// A network card's address.
    Hardware,
    Version,
    /// Orders, invoices, tickets, hashes, timestamps: numbers that name no person.
    Reference,
}

const TOPICS: usize = 14;
/// The first topics: a name of theirs is followed by its value, and what stands below that is one too.
const COLUMNS: usize = 3;

/// How many bytes after a word it still counts. A stream keeps as much of what it let go.
pub(crate) const REACH_BYTES: usize = 64;
/// A reference's number follows at once.
const REFERENCE_REACH_BYTES: usize = 28;
const PHONE_REACH_BYTES: usize = 16;
/// No more than `number: ` stands between.
const CLOSE_REACH_BYTES: usize = 10;

/// Where each topic was last spoken of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// End of the word; `None` if it was not seen.
    last: [Option<usize>; TOPICS],
    /// The kind of id that was last called by its own name, and the end of that.
    named: Option<(Kind, usize)>,
    /// Where the last value stood of those that are told by their names alone.
    columns: [Option<Column>; COLUMNS],
}

/// The last word that spoke of phones.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhoneWord {
    pub(super) end: usize,
    /// `call`, `mobile`: it may mean something else too.
    pub(super) is_verb: bool,
}

/// What a word was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    Topic,
    /// It may begin a secret's name.
    Secret,
}

impl Context {
    pub(super) fn new() -> Self {
        Self {
            last: [None; TOPICS],
            named: None,
            columns: [None; COLUMNS],
        }
    }

    /// Takes note of a word that ends at `end`.
    pub(super) fn hear(&mut self, word: &[u8], end: usize) -> Heard {
        match meaning_of(word) {
            None => return Heard::Nothing,
            Some(Meaning::Secret) => return Heard::Secret,
            Some(Meaning::TopicOrSecret(topic)) => {
                self.last[topic as usize] = Some(end);
                return Heard::Secret;
            }
            Some(Meaning::Topic(topic)) => {
                self.last[topic as usize] = Some(end);
                if topic == Topic::Calling {
                    self.last[Topic::Phone as usize] = Some(end);
                }
            }
            Some(Meaning::Origin) => {
                if !self.is_within(Topic::Version, end, REFERENCE_REACH_BYTES) {
                    self.last[Topic::Network as usize] = Some(end);
                }
            }
            Some(Meaning::Turn) => self.turn(end - word.len()),
            Some(Meaning::Name(kind)) => {
                self.last[Topic::Identity as usize] = Some(end);
                self.named = Some((kind, end));
            }
        }
        Heard::Topic
    }

    /// The first `bytes` of the text are gone; what was said there is too far away by now.
    pub(super) fn shift(&mut self, bytes: usize) {
        for last in &mut self.last {
            *last = last.and_then(|end| end.checked_sub(bytes));
        }
        self.named = self
            .named
            .and_then(|(kind, end)| Some((kind, end.checked_sub(bytes)?)));
        for column in &mut self.columns {
            *column = column.and_then(|column| column.shifted(bytes));
        }
    }

    /// Whether a word begins the name of a secret.
    pub(super) fn is_secret(word: &[u8]) -> bool {
        matches!(
            meaning_of(word),
            Some(Meaning::Secret | Meaning::TopicOrSecret(_))
        )
    }

    /// Whether a word says anything of what follows it.
    pub(super) fn knows(word: &[u8]) -> bool {
        meaning_of(word).is_some()
    }

    /// A word that begins at `start` turns the one before it into something else.
    #[cold]
    fn turn(&mut self, start: usize) {
        for topic in [
            Topic::Birth,
            Topic::Passport,
            Topic::Licence,
            Topic::Identity,
        ] {
            let last = &mut self.last[topic as usize];
            *last = last.filter(|end| start.saturating_sub(*end) > 1);
        }
    }

    /// A name that its value has followed says nothing of the next one, but of the one below it.
    pub(super) fn pass(&mut self, topic: Topic, column: Option<Column>) {
        self.last[topic as usize] = None;
        self.columns[topic as usize] = column;
    }

    /// Whether what stands at `at` is below a value of `topic` in a table.
    #[inline]
    pub(super) fn is_below(&self, topic: Topic, bytes: &[u8], at: usize) -> bool {
        self.columns[topic as usize].is_some_and(|column| column.goes_on_at(bytes, at))
    }

    /// Whether `topic` was spoken of shortly before `at`.
    pub(super) fn is_near(&self, topic: Topic, at: usize) -> bool {
        self.is_within(topic, at, REACH_BYTES)
    }

    /// Whether a word of `topic` names what stands at `at`.
    pub(super) fn is_close(&self, topic: Topic, at: usize) -> bool {
        self.is_within(topic, at, CLOSE_REACH_BYTES)
    }

    fn is_within(&self, topic: Topic, at: usize, reach_bytes: usize) -> bool {
        self.last[topic as usize].is_some_and(|end| at.saturating_sub(end) <= reach_bytes)
    }

    /// Whether `topic` was spoken of after `other`, if that was at all.
    pub(super) fn is_nearer(&self, topic: Topic, other: Topic) -> bool {
        self.last[topic as usize] > self.last[other as usize]
    }

    /// Whether the value at `at` is called a reference or a version, and nothing nearer calls it
    /// `unless`. A comma or a line's end between them starts something else.
    pub(super) fn is_reference(&self, bytes: &[u8], at: usize, unless: Topic) -> bool {
        let last = self.last[Topic::Reference as usize].max(self.last[Topic::Version as usize]);
        last.is_some_and(|end| {
            at.saturating_sub(end) <= REFERENCE_REACH_BYTES
                && self.last[unless as usize].is_none_or(|other| other < end)
                && is_one_phrase(&bytes[end..at])
        })
    }

    /// Whether a word right before `at` speaks of phones.
    pub(super) fn is_phone(&self, at: usize) -> bool {
        self.is_within(Topic::Phone, at, PHONE_REACH_BYTES)
    }

    /// The last one shortly before `at`.
    pub(super) fn phone_word(&self, at: usize) -> Option<PhoneWord> {
        let end = self.last[Topic::Phone as usize]
            .filter(|end| at.saturating_sub(*end) <= REACH_BYTES)?;
        let is_verb = self.last[Topic::Calling as usize] == Some(end);
        Some(PhoneWord { end, is_verb })
    }

    /// Whether the id at `at` was called by its own name.
    pub(super) fn names(&self, kind: Kind, at: usize) -> bool {
        self.named
            .is_some_and(|(named, end)| named == kind && at.saturating_sub(end) <= REACH_BYTES)
    }
}

/// Words between a reference's name and its number: `the trace id was …`.
const PHRASE_WORDS_MAX: usize = 3;
/// A longer word before a full stop is no abbreviation: the sentence ends there.
const ABBREVIATION_BYTES_MAX: usize = 4;

/// Whether what stands between a name and a value still belongs to the name.
fn is_one_phrase(between: &[u8]) -> bool {
    let mut words = 0;
    let mut word_len = 0;
    for (at, &byte) in between.iter().enumerate() {
        match byte {
            b',' | b';' | b'\n' => return false,
            b'.' if word_len > ABBREVIATION_BYTES_MAX && between.get(at + 1) == Some(&b' ') => {
                return false;
            }
            _ if byte.is_ascii_alphanumeric() || byte >= 0x80 => {
                words += usize::from(word_len == 0);
                word_len += 1;
                continue;
            }
            _ => {}
        }
        word_len = 0;
    }
    words <= PHRASE_WORDS_MAX
}

/// Longest word below, in bytes.
const WORD_BYTES_MAX: usize = 32;

/// What a word tells of the value behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Topic(Topic),
    /// An id's own name.
    Name(Kind),
    /// What comes from there has an address, unless it is a version.
    Origin,
    /// With the word before it, it means something else: a birth rate, a passport office.
    Turn,
    /// It begins the name of a secret.
    Secret,
    /// Either: a German `Pass` is a passport.
    TopicOrSecret(Topic),
}

fn meaning_of(word: &[u8]) -> Option<Meaning> {
    if !VOCABULARY.may_know(word) {
        return None;
    }
    let mut lower = [0; WORD_BYTES_MAX];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    VOCABULARY.meanings.get(&*lower).copied()
}

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::new);

struct Vocabulary {
    /// A bit for each length, first and last letter of a known word: turns most words away.
    filter: [u64; 256],
    meanings: HashMap<&'static [u8], Meaning>,
}

impl Vocabulary {
    fn new() -> Self {
        let mut vocabulary = Self {
            filter: [0; 256],
            meanings: HashMap::new(),
        };
        for (topic, words) in WORDS {
            vocabulary.learn(words, Meaning::Topic(*topic));
        }
        for (kind, words) in NAMES {
            vocabulary.learn(words, Meaning::Name(*kind));
        }
        vocabulary.learn(ORIGINS, Meaning::Origin);
        vocabulary.learn(TURNS, Meaning::Turn);
        vocabulary.learn(SECRETS, Meaning::Secret);
        vocabulary
    }

    fn learn(&mut self, words: &'static str, meaning: Meaning) {
        for word in words.split_whitespace().map(str::as_bytes) {
            if let Some((cell, bit)) = place(word) {
                self.filter[cell] |= bit;
                let meaning = match (self.meanings.get(word), meaning) {
                    (Some(&Meaning::Topic(topic)), Meaning::Secret) => {
                        Meaning::TopicOrSecret(topic)
                    }
                    _ => meaning,
                };
                self.meanings.insert(word, meaning);
            }
        }
    }

    fn may_know(&self, word: &[u8]) -> bool {
        place(word).is_some_and(|(cell, bit)| self.filter[cell] & bit != 0)
    }
}

fn place(word: &[u8]) -> Option<(usize, u64)> {
    if !(2..=WORD_BYTES_MAX).contains(&word.len()) {
        return None;
    }
    let (first, last) = (word.first()? | 0x20, word.last()? | 0x20);
    let hash = usize::from(first) * 31 + usize::from(last) * 7 + word.len() * 1021;
    Some(((hash / 64) % 256, 1 << (hash % 64)))
}

/// In lower case; of words outside ASCII also with a capital first letter. A word is in one list
/// only.
const WORDS: &[(Topic, &str)] = &[
    (
        Topic::Phone,
        "phone phones telephone tel cellphone whatsapp fax sms msisdn fon telefon telefonnummer telefonnr \
         handy handynummer mobilnummer mobiltelefon rufnummer durchwahl festnetz tél Tél téléphone \
         telephonique téléphonique teléfono telefono tfno tfn tlf tlfno móvil movil",
    ),
    (
        Topic::Calling,
        "cell mobile call called calling dial ring reach contact mobil anrufen ruf rufen erreichbar \
         portable appeler appelez appelle joindre joignable llamar llame llámame llámeme llama contacto \
         cel cellulare chiamare chiama chiamami chiamatemi recapito numero",
    ),
    (
        Topic::Birth,
        "birth birthday birthdate dob born geboren geb geburtsdatum geburtstag gebürtig né née \
         naissance anniversaire nacido nacida nació nacimiento cumpleaños nato nata nascita compleanno \
         nacque nací nac nascimento nasceu gebdat gebdatum",
    ),
    (
        Topic::Passport,
        "passport passports reisepass reisepassnummer passnummer pass passeport pasaporte passaporto \
         personalausweis personalausweisnummer ausweis ausweisnummer",
    ),
    (
        Topic::Licence,
        "driving driver drivers führerschein fuehrerschein führerscheinnummer fahrerlaubnis Führerschein \
         permis conduire conducir conducción patente guida",
    ),
    (
        Topic::Card,
        "card cards credit debit visa mastercard amex cc cvv karte kreditkarte kreditkartennummer \
         kartennummer ec-karte carte bancaire tarjeta crédito débito carta credito bancomat",
    ),
    (
        Topic::Bank,
        "iban bank account konto kontonummer bankverbindung überweisung compte virement cuenta conto \
         bonifico transfer",
    ),
    (
        Topic::Network,
        "ip ipv4 ipv6 host hosts server address addr client remote peer gateway dns adresse ip-adresse \
         rechner serveur hôte servidor dirección direccion indirizzo router firewall login logged \
         connected request requests",
    ),
    (Topic::Health, "nhs patient hospital surgery gp"),
    (
        Topic::Identity,
        "nino ni insurance tax taxpayer tin identifikationsnummer steuernummer versicherungsnummer \
         sozialversicherung sozialversicherungsnummer sécu sécurité sociale fiscal fiscale fiscali impôts \
         documento identidad identità contribuente identity identification personal national",
    ),
    (Topic::SocialSecurity, "ssn ssns social"),
    (Topic::Hardware, "mac"),
    (
        Topic::Version,
        "version versions ver release build firmware chapter section sec clause paragraph kapitel \
         abschnitt chapitre capítulo capitolo versión versione rev revision upgrade upgraded update \
         updated paket package schema oid",
    ),
    (
        Topic::Reference,
        "order orders invoice tracking ticket sku serial reference ref hash commit sha checksum \
         isbn ean barcode uuid guid timestamp epoch unix shipment parcel item part article case \
         transaction batch lot trace span request-id job run process pid seed offset bytes size \
         bestellung bestellnummer bestell-nr auftrag auftragsnummer rechnung rechnungsnummer \
         sendungsnummer sendung paketnummer artikel artikelnummer seriennummer vorgang vorgangsnummer \
         zeitstempel prüfsumme kundennummer kundennr aktenzeichen geschäftszeichen vertragsnummer \
         mitgliedsnummer policennummer commande facture référence colis série suivi horodatage article \
         pedido factura seguimiento envío referencia artículo lote marca \
         ordine fattura spedizione riferimento articolo lotto tracciamento pratica",
    ),
];

const ORIGINS: &str = "from von depuis desde dall da";

const TURNS: &str = "party parties rate rates control controls office officer certificate cake celebration \
    gift present defect weight amount return returns refund year policy claim school instructor";

/// First words of what secrets are called; `secret::name` knows the rest.
const SECRETS: &str = "password passwd pwd pw pgpassword passphrase passwort kennwort contrasena contraseña \
    mot passe mdp pass clave clé chiave token key sig amz authorization identified secret client clientsecret api apikey access accesskey accesstoken auth authtoken refresh refreshtoken \
    aws secretkey secretaccesskey accountkey sharedaccesskey sharedaccesssignature bearer basic";

/// What ids are called in their countries.
const NAMES: &[(Kind, &str)] = &[
    (
        Kind::DeTaxId,
        "steuer steuerid idnr steueridentifikationsnummer",
    ),
    (
        Kind::DeSocialSecurity,
        "rentenversicherung rentenversicherungsnummer rvnr",
    ),
    (Kind::FrNir, "nir insee"),
    (Kind::FrTaxId, "spi"),
    (Kind::EsDni, "dni nie"),
    (Kind::ItFiscalCode, "codice"),
    (Kind::PlPesel, "pesel"),
    (Kind::RoCnp, "cnp"),
    (Kind::NlBsn, "bsn burgerservicenummer sofinummer"),
    (
        Kind::BeNationalNumber,
        "rijksregisternummer nationaal registre",
    ),
    (Kind::SePersonnummer, "personnummer"),
    (Kind::PtNif, "nif contribuinte"),
    (Kind::CzBirthNumber, "rodné rč Rč RČ"),
    (Kind::AtSocialSecurity, "svnr svnummer"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_found_in_any_ascii_case_and_others_are_not() {
        for (word, meaning) in [
            ("Telefon", Some(Meaning::Topic(Topic::Phone))),
            ("PASSPORT", Some(Meaning::Topic(Topic::Passport))),
            ("née", Some(Meaning::Topic(Topic::Birth))),
            ("table", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(meaning_of(word.as_bytes()), meaning, "{word}");
        }
    }

    #[test]
    fn no_word_is_in_two_lists_nor_too_long() {
        let mut seen = HashMap::new();
        for (topic, words) in WORDS {
            for word in words.split_whitespace() {
                assert!((2..=WORD_BYTES_MAX).contains(&word.len()), "{word}");
                if let Some(other) = seen.insert(word, topic) {
                    assert_eq!(other, topic, "{word}");
                }
            }
        }
    }

    #[test]
    fn a_word_counts_for_a_while_and_a_nearer_one_outweighs_a_reference() {
        const TEXT: &[u8] = &[b' '; 100];
        let mut context = Context::new();
        context.hear(b"order", 5);
        assert!(context.is_reference(TEXT, 10, Topic::Card));
        assert!(!context.is_reference(TEXT, 5 + REFERENCE_REACH_BYTES + 1, Topic::Card));
        context.hear(b"card", 9);
        assert!(!context.is_reference(TEXT, 10, Topic::Card));
        assert!(context.is_near(Topic::Card, 9 + REACH_BYTES));
        assert!(!context.is_near(Topic::Card, 10 + REACH_BYTES));
    }
}
