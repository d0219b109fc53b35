//! Texts in five languages, and what stands in them.

use std::ops::Range;

use content::Kind;

use super::chance::Chance;
use super::{look_alikes, values};

pub struct Text {
    pub text: String,
    pub values: Vec<(Kind, Range<usize>)>,
}

#[derive(Clone, Copy)]
pub struct Language {
    pub name: &'static str,
    around: &'static [(&'static str, &'static str)],
    plain: &'static [&'static str],
    references: &'static [&'static str],
    names: fn(Kind) -> &'static [&'static str],
}

/// How many texts hold values; as many again hold look-alikes, or nothing.
pub fn corpus(seed: u64, per_kind_and_language: usize) -> Vec<(Language, Text)> {
    let mut chance = Chance(seed);
    let mut texts = Vec::new();
    for language in LANGUAGES {
        for kind in Kind::ALL {
            for _ in 0..per_kind_and_language {
                texts.push((language, with_value(language, kind, &mut chance)));
                texts.push((language, without(language, &mut chance)));
            }
        }
    }
    texts
}

/// Forms that many other numbers have, too: people who write them say what they are.
fn needs_a_name(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Phone
            | Kind::NlBsn
            | Kind::PtNif
            | Kind::UkNhsNumber
            | Kind::AtSocialSecurity
            | Kind::Passport
            | Kind::DrivingLicence
            | Kind::DateOfBirth
    )
}

/// What an id is called in its country, whatever the language around it.
fn own_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::DeTaxId => &["Steuer-ID", "IdNr."],
        Kind::DeSocialSecurity => &["Rentenversicherungsnummer", "RVNR"],
        Kind::FrNir => &["NIR", "n° sécu"],
        Kind::FrTaxId => &["SPI", "numéro fiscal"],
        Kind::EsDni => &["DNI", "NIE"],
        Kind::ItFiscalCode => &["codice fiscale", "C.F."],
        Kind::PlPesel => &["PESEL", "numer PESEL"],
        Kind::RoCnp => &["CNP"],
        Kind::NlBsn => &["BSN", "burgerservicenummer"],
        Kind::BeNationalNumber => &["rijksregisternummer", "registre national"],
        Kind::SePersonnummer => &["personnummer"],
        Kind::PtNif => &["NIF", "contribuinte"],
        Kind::CzBirthNumber => &["rodné číslo", "RČ"],
        Kind::AtSocialSecurity => &["SVNR", "SVNR."],
        _ => &[],
    }
}

fn with_value(language: Language, kind: Kind, chance: &mut Chance) -> Text {
    let mut text = Text {
        text: String::new(),
        values: Vec::new(),
    };
    if chance.one_in(2) {
        text.text.push_str(chance.pick::<&str>(language.plain));
        text.text.push(' ');
    }
    let (before, after) = *chance.pick(language.around);
    text.text.push_str(before);
    if needs_a_name(kind) || !chance.one_in(3) {
        let own = own_names(kind);
        let names = if own.is_empty() || (!needs_a_name(kind) && chance.one_in(2)) {
            (language.names)(kind)
        } else {
            own
        };
        text.text.push_str(chance.pick::<&str>(names));
        text.text
            .push_str(chance.pick::<&str>(&[" ", ": ", " ", " = "]));
    }
    let start = text.text.len();
    text.text.push_str(&values::of(kind, chance));
    text.values.push((kind, start..text.text.len()));
    text.text.push_str(after);
    if chance.one_in(3) {
        text.text.push(' ');
        text.text.push_str(&reference(language, chance));
    }
    text
}

fn without(language: Language, chance: &mut Chance) -> Text {
    let mut text = String::new();
    for _ in 0..chance.within(1, 2) {
        let sentence = if chance.one_in(4) {
            chance.pick(language.plain).to_string()
        } else {
            reference(language, chance)
        };
        text.push_str(&sentence);
        text.push(' ');
    }
    Text {
        text,
        values: Vec::new(),
    }
}

fn reference(language: Language, chance: &mut Chance) -> String {
    chance
        .pick(language.references)
        .replace("{}", &look_alikes::value(chance))
}

pub const LANGUAGES: [Language; 5] = [
    Language {
        name: "English",
        around: &[
            ("Please update my record, ", ", thank you."),
            ("Hi, here it is: ", "."),
            ("The customer wrote \"", "\" in the form."),
            ("", " is what I was given"),
            ("Summarise this: ", "\nand nothing else."),
        ],
        plain: &[
            "The meeting on 14 March 2025 was moved to 3:30 pm.",
            "We sold 1,250 units at $19.99 each in Q3.",
            "Chapter 4.2.1 explains it; see page 117.",
            "Call it a day: the build took 45 minutes.",
            "My password must be changed every 90 days.",
        ],
        references: &[
            "Order {} has shipped.",
            "Tracking number {} is not found.",
            "See commit {} for details.",
            "Version {} broke the build.",
            "Invoice {} is overdue.",
            "The trace id was {} at that time.",
            "Part no. {} is out of stock.",
            "It says {} on the screen.",
        ],
        names: |kind| match kind {
            Kind::Email => &["my e-mail", "mail"],
            Kind::Phone => &["phone", "call me at", "mobile", "tel."],
            Kind::Iban => &["IBAN", "account"],
            Kind::PaymentCard => &["card", "credit card number", "Visa"],
            Kind::IpAddress => &["IP address", "from host", "server"],
            Kind::MacAddress => &["MAC", "device"],
            Kind::UsSsn => &["SSN", "social security number"],
            Kind::UkNhsNumber => &["NHS number", "patient NHS no."],
            Kind::Passport => &["passport", "passport number"],
            Kind::DrivingLicence => &["driving licence", "driver's license"],
            Kind::DateOfBirth => &["born on", "date of birth", "DOB"],
            Kind::Credential | Kind::Jwt | Kind::PrivateKey => &["key", "use this"],
            Kind::ConnectionString => &["database", "connect to"],
            _ => &[
                "tax id",
                "identity number",
                "personal id",
                "national insurance",
            ],
        },
    },
    Language {
        name: "German",
        around: &[
            ("Bitte ändern Sie meine Daten, ", ", danke."),
            ("Hallo, hier: ", "."),
            ("Der Kunde schrieb „", "“ in das Formular."),
            ("", " steht so im Vertrag"),
            ("Fasse zusammen: ", "\nund sonst nichts."),
        ],
        plain: &[
            "Das Treffen am 14. März 2025 wurde auf 15:30 Uhr verlegt.",
            "Wir haben 1.250 Stück zu 19,99 € verkauft.",
            "Kapitel 4.2.1 erklärt es, siehe Seite 117.",
            "Der Zug fährt um 7.05 Uhr von Gleis 12.",
            "Das Passwort muss alle 90 Tage geändert werden.",
        ],
        references: &[
            "Die Bestellung {} wurde versandt.",
            "Sendungsnummer {} ist unbekannt.",
            "Siehe Commit {} für Einzelheiten.",
            "Version {} ist fehlerhaft.",
            "Rechnung {} ist überfällig.",
            "Die Vorgangsnummer war {}.",
            "Artikel {} ist nicht lieferbar.",
            "Auf dem Bildschirm steht {}.",
        ],
        names: |kind| match kind {
            Kind::Email => &["meine E-Mail", "Mail an"],
            Kind::Phone => &["Telefon", "Handy", "Tel.", "erreichbar unter"],
            Kind::Iban => &["IBAN", "Konto"],
            Kind::PaymentCard => &["Karte", "Kreditkarte", "Visa"],
            Kind::IpAddress => &["IP-Adresse", "Server", "von Host"],
            Kind::MacAddress => &["MAC", "Gerät"],
            Kind::UsSsn => &["SSN", "Social Security Number"],
            Kind::UkNhsNumber => &["NHS-Nummer", "NHS"],
            Kind::Passport => &["Reisepass", "Passnummer", "Ausweis"],
            Kind::DrivingLicence => &["Führerschein", "Fahrerlaubnis"],
            Kind::DateOfBirth => &["geboren am", "Geburtsdatum", "geb."],
            Kind::Credential | Kind::Jwt | Kind::PrivateKey => &["Schlüssel", "verwende"],
            Kind::ConnectionString => &["Datenbank", "verbinde mit"],
            _ => &[
                "Steuer-ID",
                "Sozialversicherung",
                "Identifikationsnummer",
                "Steuernummer",
            ],
        },
    },
    Language {
        name: "French",
        around: &[
            ("Merci de mettre à jour mon dossier, ", ", cordialement."),
            ("Bonjour, voici : ", "."),
            ("Le client a écrit « ", " » dans le formulaire."),
            ("", " figure au contrat"),
            ("Résume ceci : ", "\net rien d'autre."),
        ],
        plain: &[
            "La réunion du 14 mars 2025 est reportée à 15 h 30.",
            "Nous avons vendu 1 250 pièces à 19,99 €.",
            "Le chapitre 4.2.1 l'explique, voir page 117.",
            "Le train part à 7 h 05 de la voie 12.",
            "Le mot de passe doit être changé tous les 90 jours.",
        ],
        references: &[
            "La commande {} est expédiée.",
            "Le colis {} est introuvable.",
            "Voir le commit {} pour les détails.",
            "La version {} est défectueuse.",
            "La facture {} est en retard.",
            "Le dossier porte la référence {}.",
            "L'article {} est épuisé.",
            "L'écran affiche {}.",
        ],
        names: |kind| match kind {
            Kind::Email => &["mon courriel", "adresse"],
            Kind::Phone => &["téléphone", "portable", "tél.", "joignable au"],
            Kind::Iban => &["IBAN", "compte"],
            Kind::PaymentCard => &["carte bancaire", "carte", "Visa"],
            Kind::IpAddress => &["adresse IP", "serveur", "depuis"],
            Kind::MacAddress => &["MAC", "appareil"],
            Kind::UsSsn => &["SSN", "numéro SSN"],
            Kind::UkNhsNumber => &["numéro NHS", "NHS"],
            Kind::Passport => &["passeport", "numéro de passeport"],
            Kind::DrivingLicence => &["permis de conduire", "permis"],
            Kind::DateOfBirth => &["né le", "née le", "date de naissance"],
            Kind::Credential | Kind::Jwt | Kind::PrivateKey => &["clé", "utilise"],
            Kind::ConnectionString => &["base de données", "connexion"],
            _ => &["sécurité sociale", "numéro fiscal", "NIR", "identité"],
        },
    },
    Language {
        name: "Spanish",
        around: &[
            ("Por favor, actualice mis datos, ", ", gracias."),
            ("Hola, aquí está: ", "."),
            ("El cliente escribió «", "» en el formulario."),
            ("", " consta en el contrato"),
            ("Resume esto: ", "\ny nada más."),
        ],
        plain: &[
            "La reunión del 14 de marzo de 2025 se aplaza a las 15:30.",
            "Vendimos 1.250 unidades a 19,99 €.",
            "El capítulo 4.2.1 lo explica, véase la página 117.",
            "El tren sale a las 7:05 de la vía 12.",
            "La contraseña debe cambiarse cada 90 días.",
        ],
        references: &[
            "El pedido {} ya salió.",
            "El envío {} no se encuentra.",
            "Véase el commit {} para más detalles.",
            "La versión {} falla.",
            "La factura {} está vencida.",
            "La referencia del caso es {}.",
            "El artículo {} está agotado.",
            "En la pantalla pone {}.",
        ],
        names: |kind| match kind {
            Kind::Email => &["mi correo", "correo"],
            Kind::Phone => &["teléfono", "móvil", "llámame al", "tel."],
            Kind::Iban => &["IBAN", "cuenta"],
            Kind::PaymentCard => &["tarjeta", "tarjeta de crédito", "Visa"],
            Kind::IpAddress => &["dirección IP", "servidor", "desde"],
            Kind::MacAddress => &["MAC", "dispositivo"],
            Kind::UsSsn => &["SSN", "número SSN"],
            Kind::UkNhsNumber => &["número NHS", "NHS"],
            Kind::Passport => &["pasaporte", "número de pasaporte"],
            Kind::DrivingLicence => &["permiso de conducir", "permiso para conducir"],
            Kind::DateOfBirth => &["nacido el", "nacida el", "fecha de nacimiento"],
            Kind::Credential | Kind::Jwt | Kind::PrivateKey => &["clave", "usa"],
            Kind::ConnectionString => &["base de datos", "conexión"],
            _ => &["DNI", "documento de identidad", "NIF", "número fiscal"],
        },
    },
    Language {
        name: "Italian",
        around: &[
            ("Aggiornate i miei dati, ", ", grazie."),
            ("Ciao, ecco: ", "."),
            ("Il cliente ha scritto \"", "\" nel modulo."),
            ("", " risulta dal contratto"),
            ("Riassumi: ", "\ne nient'altro."),
        ],
        plain: &[
            "La riunione del 14 marzo 2025 è spostata alle 15:30.",
            "Abbiamo venduto 1.250 pezzi a 19,99 €.",
            "Il capitolo 4.2.1 lo spiega, vedi pagina 117.",
            "Il treno parte alle 7:05 dal binario 12.",
            "La password va cambiata ogni 90 giorni.",
        ],
        references: &[
            "L'ordine {} è partito.",
            "La spedizione {} non si trova.",
            "Vedi il commit {} per i dettagli.",
            "La versione {} è difettosa.",
            "La fattura {} è scaduta.",
            "Il riferimento della pratica è {}.",
            "L'articolo {} è esaurito.",
            "Sullo schermo c'è {}.",
        ],
        names: |kind| match kind {
            Kind::Email => &["la mia e-mail", "posta"],
            Kind::Phone => &["telefono", "cellulare", "chiamami al", "tel."],
            Kind::Iban => &["IBAN", "conto"],
            Kind::PaymentCard => &["carta di credito", "carta", "Visa"],
            Kind::IpAddress => &["indirizzo IP", "server", "dal"],
            Kind::MacAddress => &["MAC", "dispositivo"],
            Kind::UsSsn => &["SSN", "numero SSN"],
            Kind::UkNhsNumber => &["numero NHS", "NHS"],
            Kind::Passport => &["passaporto", "numero di passaporto"],
            Kind::DrivingLicence => &["patente di guida", "patente"],
            Kind::DateOfBirth => &["nato il", "nata il", "data di nascita"],
            Kind::Credential | Kind::Jwt | Kind::PrivateKey => &["chiave", "usa"],
            Kind::ConnectionString => &["database", "connessione"],
            _ => &[
                "codice fiscale",
                "documento d'identità",
                "identità",
                "contribuente",
            ],
        },
    },
];
