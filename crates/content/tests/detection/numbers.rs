//! Numbers with check digits, made from their published rules and not with the detector's code.

use super::chance::Chance;

pub fn luhn_digit(body: &str) -> char {
    let mut sum = 0;
    for (index, digit) in body.bytes().rev().enumerate() {
        let mut value = u32::from(digit - b'0');
        if index % 2 == 0 {
            value *= 2;
            if value > 9 {
                value -= 9;
            }
        }
        sum += value;
    }
    digit((10 - sum % 10) % 10)
}

pub fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap()
}

pub fn weighted(body: &str, weights: &[u32]) -> u32 {
    body.bytes()
        .zip(weights)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum()
}

/// `1234567` in groups: `[3, 4]` and a separator.
pub fn grouped(text: &str, lens: &[usize], separator: &str) -> String {
    let mut rest = text;
    let mut groups = Vec::new();
    for len in lens {
        let (group, tail) = rest.split_at(*len);
        groups.push(group);
        rest = tail;
    }
    assert!(rest.is_empty(), "{text} is not {lens:?}");
    groups.join(separator)
}

pub struct Date {
    pub year: u64,
    pub month: u64,
    pub day: u64,
}

pub fn birth(chance: &mut Chance) -> Date {
    Date {
        year: chance.within(1935, 2007),
        month: chance.within(1, 12),
        day: chance.within(1, 28),
    }
}

pub fn card(chance: &mut Chance) -> String {
    let (prefix, len) = *chance.pick(&[
        ("4", 16),
        ("4", 16),
        ("51", 16),
        ("55", 16),
        ("2221", 16),
        ("34", 15),
        ("37", 15),
        ("6011", 16),
        ("3530", 16),
        ("62", 16),
    ]);
    let body = format!("{prefix}{}", chance.digits(len - prefix.len() - 1));
    let whole = format!("{body}{}", luhn_digit(&body));
    match (len, chance.below(4)) {
        (16, 0 | 1) => grouped(&whole, &[4, 4, 4, 4], " "),
        (16, 2) => grouped(&whole, &[4, 4, 4, 4], "-"),
        (15, 0 | 1) => grouped(&whole, &[4, 6, 5], " "),
        _ => whole,
    }
}

pub fn iban(chance: &mut Chance) -> String {
    let (country, form) = *chance.pick(&[
        ("DE", "nnnnnnnnnnnnnnnnnn"),
        ("FR", "nnnnnnnnnnaaaaaaaaaaann"),
        ("ES", "nnnnnnnnnnnnnnnnnnnn"),
        ("IT", "Annnnnnnnnnaaaaaaaaaaaa"),
        ("GB", "AAAAnnnnnnnnnnnnnn"),
        ("NL", "AAAAnnnnnnnnnn"),
        ("PL", "nnnnnnnnnnnnnnnnnnnnnnnn"),
        ("AT", "nnnnnnnnnnnnnnnn"),
        ("BE", "nnnnnnnnnnnn"),
    ]);
    let mut body = String::new();
    for place in form.chars() {
        body.push_str(&match place {
            'n' => chance.digits(1),
            'A' => chance.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1),
            _ => chance.of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1),
        });
    }
    let mut rest = 0u64;
    for byte in format!("{body}{country}00").bytes() {
        rest = match byte {
            b'0'..=b'9' => rest * 10 + u64::from(byte - b'0'),
            _ => rest * 100 + u64::from(byte - b'A' + 10),
        } % 97;
    }
    let whole = format!("{country}{:02}{body}", 98 - rest);
    if chance.one_in(2) {
        return whole;
    }
    let groups: Vec<String> = whole
        .as_bytes()
        .chunks(4)
        .map(|chunk| String::from_utf8_lossy(chunk).into_owned())
        .collect();
    groups.join(" ")
}

pub fn de_tax_id(chance: &mut Chance) -> String {
    // Ten digits of which one occurs twice and one is missing.
    let body = loop {
        let mut digits: Vec<char> = ('0'..='9').collect();
        let from = chance.below(10) as usize;
        let to = chance.below(10) as usize;
        if from == to {
            continue;
        }
        digits[to] = digits[from];
        for at in (1..10).rev() {
            digits.swap(at, chance.below(at as u64 + 1) as usize);
        }
        if digits[0] != '0' {
            break digits.into_iter().collect::<String>();
        }
    };
    let mut product = 10;
    for byte in body.bytes() {
        let mut sum = (u32::from(byte - b'0') + product) % 10;
        if sum == 0 {
            sum = 10;
        }
        product = 2 * sum % 11;
    }
    let check = if 11 - product == 10 { 0 } else { 11 - product };
    let whole = format!("{body}{}", digit(check));
    if chance.one_in(2) {
        grouped(&whole, &[2, 3, 3, 3], " ")
    } else {
        whole
    }
}

pub fn de_social_security(chance: &mut Chance) -> String {
    let Date { year, month, day } = birth(chance);
    let letter = chance.of("ABCDEFGHIJKLMNOPRSTUVWZ", 1);
    let area = chance.within(10, 89);
    let serial = chance.digits(2);
    let number = u32::from(letter.as_bytes()[0] - b'A') + 1;
    let head = format!("{area}{day:02}{month:02}{:02}", year % 100);
    let all = format!("{head}{number:02}{serial}");
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let mut sum = 0;
    for (byte, weight) in all.bytes().zip(weights) {
        let product = u32::from(byte - b'0') * weight;
        sum += product / 10 + product % 10;
    }
    let check = digit(sum % 10);
    if chance.one_in(2) {
        return format!("{head}{letter}{serial}{check}");
    }
    format!("{} {} {letter} {serial}{check}", &head[..2], &head[2..])
}

pub fn fr_nir(chance: &mut Chance) -> String {
    let Date { year, month, .. } = birth(chance);
    let body = format!(
        "{}{:02}{month:02}{:02}{}{}",
        chance.within(1, 2),
        year % 100,
        chance.pick(&[1, 13, 31, 44, 59, 69, 75, 92]),
        chance.digits(3),
        chance.digits(3),
    );
    let key = 97 - body.parse::<u64>().unwrap() % 97;
    let whole = format!("{body}{key:02}");
    if chance.one_in(2) {
        grouped(&whole, &[1, 2, 2, 2, 3, 3, 2], " ")
    } else {
        whole
    }
}

pub fn fr_tax_id(chance: &mut Chance) -> String {
    let body = format!("{}{}", chance.within(0, 3), chance.digits(9));
    let whole = format!("{body}{:03}", body.parse::<u64>().unwrap() % 511);
    if chance.one_in(2) {
        grouped(&whole, &[2, 2, 3, 3, 3], " ")
    } else {
        whole
    }
}

pub fn es_dni(chance: &mut Chance) -> String {
    let letters = "TRWAGMYFPDXBNJZSQVHLCKE";
    let letter = |number: u64| char::from(letters.as_bytes()[(number % 23) as usize]);
    if chance.one_in(3) {
        let (lead, name) = *chance.pick(&[(0, 'X'), (1, 'Y'), (2, 'Z')]);
        let number = chance.below(10_000_000);
        return format!("{name}{number:07}{}", letter(lead * 10_000_000 + number));
    }
    let number = chance.within(10_000_000, 99_999_999);
    let text = number.to_string();
    match chance.below(3) {
        0 => format!("{text}-{}", letter(number)),
        1 => format!("{}-{}", grouped(&text, &[2, 3, 3], "."), letter(number)),
        _ => format!("{text}{}", letter(number)),
    }
}

pub fn it_fiscal_code(chance: &mut Chance) -> String {
    let Date { year, month, day } = birth(chance);
    let month = char::from(b"ABCDEHLMPRST"[month as usize - 1]);
    let day = if chance.one_in(2) { day } else { day + 40 };
    let body = format!(
        "{}{}{:02}{month}{day:02}{}{}",
        chance.of("BCDFGLMNPRSTVZ", 3),
        chance.of("BCDFGLMNPRSTVZ", 3),
        year % 100,
        chance.of("ABCDEFGHILM", 1),
        chance.digits(3),
    );
    let odd: [(char, u32); 36] = [
        ('0', 1),
        ('1', 0),
        ('2', 5),
        ('3', 7),
        ('4', 9),
        ('5', 13),
        ('6', 15),
        ('7', 17),
        ('8', 19),
        ('9', 21),
        ('A', 1),
        ('B', 0),
        ('C', 5),
        ('D', 7),
        ('E', 9),
        ('F', 13),
        ('G', 15),
        ('H', 17),
        ('I', 19),
        ('J', 21),
        ('K', 2),
        ('L', 4),
        ('M', 18),
        ('N', 20),
        ('O', 11),
        ('P', 3),
        ('Q', 6),
        ('R', 8),
        ('S', 12),
        ('T', 14),
        ('U', 16),
        ('V', 10),
        ('W', 22),
        ('X', 25),
        ('Y', 24),
        ('Z', 23),
    ];
    let mut sum = 0;
    for (index, character) in body.chars().enumerate() {
        sum += if index % 2 == 0 {
            odd.iter().find(|(known, _)| *known == character).unwrap().1
        } else {
            character
                .to_digit(10)
                .unwrap_or_else(|| u32::from(character) - u32::from('A'))
        };
    }
    format!("{body}{}", char::from(b'A' + (sum % 26) as u8))
}

pub fn pl_pesel(chance: &mut Chance) -> String {
    let Date { year, month, day } = birth(chance);
    let month = if year >= 2000 { month + 20 } else { month };
    let body = format!("{:02}{month:02}{day:02}{}", year % 100, chance.digits(4));
    let sum = weighted(&body, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    format!("{body}{}", digit((10 - sum % 10) % 10))
}

pub fn ro_cnp(chance: &mut Chance) -> String {
    let Date { year, month, day } = birth(chance);
    let sex = if year >= 2000 {
        chance.within(5, 6)
    } else {
        chance.within(1, 2)
    };
    let county = chance.within(1, 46);
    let body = format!(
        "{sex}{:02}{month:02}{day:02}{county:02}{}",
        year % 100,
        chance.digits(3)
    );
    let rest = weighted(&body, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    format!("{body}{}", digit(if rest == 10 { 1 } else { rest }))
}

pub fn nl_bsn(chance: &mut Chance) -> String {
    loop {
        let body = format!("{}{}", chance.within(1, 9), chance.digits(7));
        let check = weighted(&body, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        if check < 10 {
            return format!("{body}{}", digit(check));
        }
    }
}

pub fn be_national_number(chance: &mut Chance) -> String {
    let Date { year, month, day } = birth(chance);
    let serial = chance.within(1, 997);
    let body = format!("{:02}{month:02}{day:02}{serial:03}", year % 100);
    let number = body.parse::<u64>().unwrap() + if year >= 2000 { 2_000_000_000 } else { 0 };
    let whole = format!("{body}{:02}", 97 - number % 97);
    if chance.one_in(3) {
        return whole;
    }
    format!(
        "{}.{}.{}-{}.{}",
        &whole[..2],
        &whole[2..4],
        &whole[4..6],
        &whole[6..9],
        &whole[9..]
    )
}

pub fn se_personnummer(chance: &mut Chance) -> String {
    let Date { year, month, day } = birth(chance);
    let body = format!("{:02}{month:02}{day:02}{}", year % 100, chance.digits(3));
    let check = luhn_digit(&body);
    let century = if chance.one_in(2) {
        format!("{:02}", year / 100)
    } else {
        String::new()
    };
    format!("{century}{}-{}{check}", &body[..6], &body[6..])
}

pub fn pt_nif(chance: &mut Chance) -> String {
    let body = format!("{}{}", chance.pick(&[1, 2, 5]), chance.digits(7));
    let rest = weighted(&body, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let whole = format!("{body}{}", digit(if rest < 2 { 0 } else { 11 - rest }));
    if chance.one_in(2) {
        grouped(&whole, &[3, 3, 3], " ")
    } else {
        whole
    }
}

pub fn cz_birth_number(chance: &mut Chance) -> String {
    let Date { year, month, day } = birth(chance);
    let month = if chance.one_in(2) { month } else { month + 50 };
    loop {
        let body = format!("{:02}{month:02}{day:02}{}", year % 100, chance.digits(4));
        if body.parse::<u64>().unwrap().is_multiple_of(11) {
            return grouped(&body, &[6, 4], "/");
        }
    }
}

pub fn at_social_security(chance: &mut Chance) -> String {
    let Date { year, month, day } = birth(chance);
    loop {
        let serial = format!("{}{}", chance.within(1, 9), chance.digits(2));
        let tail = format!("{day:02}{month:02}{:02}", year % 100);
        let check = (weighted(&serial, &[3, 7, 9]) + weighted(&tail, &[5, 8, 4, 2, 1, 6])) % 11;
        if check < 10 {
            let between = if chance.one_in(2) { " " } else { "" };
            return format!("{serial}{}{between}{tail}", digit(check));
        }
    }
}

pub fn us_ssn(chance: &mut Chance) -> String {
    let area = loop {
        let area = chance.within(1, 899);
        if area != 666 {
            break area;
        }
    };
    format!(
        "{area:03}-{:02}-{:04}",
        chance.within(1, 99),
        chance.within(1, 9999)
    )
}

pub fn uk_nino(chance: &mut Chance) -> String {
    let (prefix, digits, suffix) = (
        *chance.pick(&["AB", "CE", "HJ", "JK", "PX", "SE", "TW", "YZ"]),
        chance.digits(6),
        chance.of("ABCD", 1),
    );
    if chance.one_in(2) {
        return format!("{prefix}{digits}{suffix}");
    }
    format!("{prefix} {} {suffix}", grouped(&digits, &[2, 2, 2], " "))
}

pub fn uk_nhs_number(chance: &mut Chance) -> String {
    loop {
        let body = format!("{}{}", chance.within(4, 7), chance.digits(8));
        let check = 11 - weighted(&body, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        if check != 10 {
            let whole = format!("{body}{}", digit(check % 11));
            return if chance.one_in(3) {
                whole
            } else {
                grouped(&whole, &[3, 3, 4], " ")
            };
        }
    }
}
