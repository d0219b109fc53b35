//! Values of every kind, in the forms in which people write them.

use content::Kind;

use super::chance::Chance;
use super::numbers;

pub fn of(kind: Kind, chance: &mut Chance) -> String {
    match kind {
        Kind::Email => email(chance),
        Kind::Phone => phone(chance),
        Kind::Iban => numbers::iban(chance),
        Kind::PaymentCard => numbers::card(chance),
        Kind::IpAddress => ip(chance),
        Kind::MacAddress => mac(chance),
        Kind::DeTaxId => numbers::de_tax_id(chance),
        Kind::DeSocialSecurity => numbers::de_social_security(chance),
        Kind::FrNir => numbers::fr_nir(chance),
        Kind::FrTaxId => numbers::fr_tax_id(chance),
        Kind::EsDni => numbers::es_dni(chance),
        Kind::ItFiscalCode => numbers::it_fiscal_code(chance),
        Kind::PlPesel => numbers::pl_pesel(chance),
        Kind::RoCnp => numbers::ro_cnp(chance),
        Kind::NlBsn => numbers::nl_bsn(chance),
        Kind::BeNationalNumber => numbers::be_national_number(chance),
        Kind::SePersonnummer => numbers::se_personnummer(chance),
        Kind::PtNif => numbers::pt_nif(chance),
        Kind::CzBirthNumber => numbers::cz_birth_number(chance),
        Kind::AtSocialSecurity => numbers::at_social_security(chance),
        Kind::UsSsn => numbers::us_ssn(chance),
        Kind::UkNino => numbers::uk_nino(chance),
        Kind::UkNhsNumber => numbers::uk_nhs_number(chance),
        Kind::Passport => passport(chance),
        Kind::DrivingLicence => licence(chance),
        Kind::DateOfBirth => date(chance),
        Kind::Credential => credential(chance),
        Kind::Jwt => format!(
            "eyJ{}.eyJ{}.{}",
            chance.of(BASE64URL, 33),
            chance.of(BASE64URL, 60),
            chance.of(BASE64URL, 43)
        ),
        Kind::PrivateKey => format!(
            "-----BEGIN {0}PRIVATE KEY-----\n{1}\n{2}\n-----END {0}PRIVATE KEY-----",
            chance.pick(&["", "RSA ", "EC ", "OPENSSH "]),
            chance.of(BASE64, 64),
            chance.of(BASE64, 64)
        ),
        Kind::ConnectionString => format!(
            "{}://{}:{}@{}:{}",
            chance.pick(&[
                "postgres",
                "postgresql",
                "mysql",
                "amqp",
                "redis",
                "mongodb"
            ]),
            chance.pick(&["app", "root", "svc_billing", "reader"]),
            chance.of("abcdefghjkmnpqrstuvwxyz23456789!", 12),
            chance.pick(&["db.internal", "10.2.3.4", "cache-1.example.net"]),
            chance.within(1024, 9999)
        ),
    }
}

const BASE64URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn email(chance: &mut Chance) -> String {
    let first = *chance.pick(&[
        "anna",
        "j.müller",
        "pierre.dubois",
        "maria-lopez",
        "luca_rossi",
        "o'brien",
        "x",
        "team+eu",
    ]);
    let number = if chance.one_in(3) {
        chance.within(1, 99).to_string()
    } else {
        String::new()
    };
    let domain = *chance.pick(&[
        "example.com",
        "mail.example.co.uk",
        "firma.de",
        "exemple.fr",
        "correo.es",
        "posta.it",
        "a-b.example.org",
    ]);
    format!("{first}{number}@{domain}")
}

fn phone(chance: &mut Chance) -> String {
    let d = |chance: &mut Chance, count| chance.digits(count);
    let subscriber = chance.within(2, 9);
    match chance.below(14) {
        0 => format!("+49 30 {subscriber}{}", d(chance, 6)),
        1 => format!("+49 (0)171 {subscriber}{}", d(chance, 6)),
        2 => format!("+49{}{}", chance.pick(&["151", "171", "160"]), d(chance, 8)),
        3 => format!("0171/{subscriber}{}", d(chance, 6)),
        4 => format!("(030) {subscriber}{}", d(chance, 6)),
        5 => format!(
            "+33 6 {} {} {} {}",
            d(chance, 2),
            d(chance, 2),
            d(chance, 2),
            d(chance, 2)
        ),
        6 => format!(
            "0{} {} {} {} {}",
            chance.within(1, 7),
            d(chance, 2),
            d(chance, 2),
            d(chance, 2),
            d(chance, 2)
        ),
        7 => format!("+34 6{} {} {}", d(chance, 2), d(chance, 3), d(chance, 3)),
        8 => format!("6{} {} {}", d(chance, 2), d(chance, 3), d(chance, 3)),
        9 => format!("+39 3{} {}", d(chance, 2), d(chance, 7)),
        10 => format!("3{} {}", d(chance, 2), d(chance, 7)),
        11 => format!("+44 20 {} {}", d(chance, 4), d(chance, 4)),
        12 => format!(
            "({}{}) {subscriber}{}-{}",
            chance.within(2, 9),
            d(chance, 2),
            d(chance, 2),
            d(chance, 4)
        ),
        _ => format!(
            "{}{}-{subscriber}{}-{}",
            chance.within(2, 9),
            d(chance, 2),
            d(chance, 2),
            d(chance, 4)
        ),
    }
}

fn ip(chance: &mut Chance) -> String {
    if chance.one_in(4) {
        let mut group = || format!("{:x}", chance.within(1, 0xffff));
        return format!("2001:db8:{}::{}:{}", group(), group(), group());
    }
    format!(
        "{}.{}.{}.{}",
        chance.pick(&[10, 172, 192, 203, 198, 85, 91]),
        chance.within(16, 250),
        chance.within(0, 254),
        chance.within(1, 254)
    )
}

fn mac(chance: &mut Chance) -> String {
    let separator = *chance.pick(&[":", ":", "-"]);
    let alphabet = *chance.pick(&["0123456789abcdef", "0123456789ABCDEF"]);
    let groups: Vec<String> = (0..6).map(|_| chance.of(alphabet, 2)).collect();
    groups.join(separator)
}

fn passport(chance: &mut Chance) -> String {
    match chance.below(4) {
        0 => format!(
            "{}{}",
            chance.of("CFGHJK", 1),
            format_args!("{}T{}", chance.digits(5), chance.digits(2))
        ),
        1 => chance.digits(9),
        2 => format!("{}{}", chance.of("ABCDEFGHXY", 2), chance.digits(7)),
        _ => format!(
            "{}{}",
            chance.digits(2),
            format_args!("{}{}", chance.of("ABCDEF", 2), chance.digits(5))
        ),
    }
}

fn licence(chance: &mut Chance) -> String {
    if chance.one_in(2) {
        let day = chance.within(1, 28);
        let month = chance.within(1, 12);
        return format!(
            "{}{}{month:02}{day:02}{}{}{}{}",
            chance.pick(&["MORGA", "SMITH", "FOX99", "KHAN9"]),
            chance.within(0, 9),
            chance.within(0, 9),
            chance.pick(&["SM", "J9", "AB"]),
            chance.within(0, 9),
            chance.of("ABCDEFGHJ", 2),
        );
    }
    format!(
        "{}{}{}{}",
        chance.of("BFJU", 1),
        chance.digits(3),
        chance.of("ABCDEFGH", 3),
        chance.digits(4)
    )
}

fn date(chance: &mut Chance) -> String {
    let numbers::Date { year, month, day } = numbers::birth(chance);
    match chance.below(4) {
        0 => format!("{day:02}.{month:02}.{year}"),
        1 => format!("{day:02}/{month:02}/{year}"),
        2 => format!("{year}-{month:02}-{day:02}"),
        _ => {
            let months = *chance.pick(&[
                "January February March April May June July August September October November December",
                "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
                "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
                "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
                "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
            ]);
            let name = months.split(' ').nth(month as usize - 1).unwrap();
            format!("{day} {name} {year}")
        }
    }
}

fn credential(chance: &mut Chance) -> String {
    match chance.below(7) {
        0 => format!("sk-proj-{}", chance.of(ALPHANUMERIC, 48)),
        1 => {
            format!("sk-ant-api03-{}", chance.of(BASE64URL, 60))
                .trim_end_matches(['-', '_'])
                .to_owned()
                + "AA"
        }
        2 => format!("AKIA{}", chance.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        3 => format!("ghp_{}", chance.of(ALPHANUMERIC, 36)),
        4 => format!("AIza{}7a", chance.of(ALPHANUMERIC, 33)),
        5 => format!("glpat-{}7a", chance.of(ALPHANUMERIC, 20)),
        _ => format!("hf_{}", chance.of(ALPHANUMERIC, 34)),
    }
}
