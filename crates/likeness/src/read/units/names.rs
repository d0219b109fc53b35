//! Which words name which unit.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Words, the unit they are counted in, and how many of it they are.
#[rustfmt::skip] // A table to be read across.
const UNITS: [(&str, &str, f64); 47] = [
    ("s sec secs second seconds seconde secondes sekunde sekunden", "s", 1.),
    ("ms millisecond milliseconds milliseconde millisecondes millisekunde millisekunden", "s", 0.001),
    ("min mins minute minutes minuten", "s", 60.),
    ("h hr hrs hour hours heure heures stunde stunden std uhr", "s", 3600.),
    ("d day days tag tage tagen jour jours", "s", 86400.),
    ("week weeks woche wochen semaine semaines", "s", 604_800.),
    ("month months monat monate monaten mois", "month", 1.),
    ("year years jahr jahre jahren an ans annee annees", "month", 12.),
    ("€ eur euro euros", "euro", 1.),
    ("$ usd dollar dollars", "dollar", 1.),
    ("£ gbp pound pounds lb lbs pfund livre livres sterling", "pound", 1.),
    ("¥ jpy yen yens", "yen", 1.),
    ("chf franc francs franken", "franc", 1.),
    ("chf franken francs", "franc", 1.),
    ("ct cent cents centime centimes c", "cent", 0.01),
    ("% percent prozent pourcent", "percent", 1.),
    ("km kilometre kilometres kilometer kilometers kilometern", "m", 1000.),
    ("m metre metres meter meters metern", "m", 1.),
    ("cm centimetre centimetres zentimeter zentimetern centimeter centimeters", "m", 0.01),
    ("mm millimetre millimetres millimeter millimetern millimeters", "m", 0.001),
    ("mi mile miles meile meilen milles", "mile", 1.),
    ("ft foot feet fuss pied pieds", "foot", 1.),
    ("inch inches zoll pouce pouces", "inch", 1.),
    ("kg kilo kilos kilogram kilograms kilogramme kilogrammes kilogramm", "g", 1000.),
    ("g gram grams gramm gramme grammes", "g", 1.),
    ("mg milligram milligrams milligramm milligramme milligrammes", "g", 0.001),
    ("tonne tonnes tonnen ton tons", "g", 1e6),
    ("ounce ounces oz unze unzen once", "ounce", 1.),
    ("l litre litres liter liters litern", "l", 1.),
    ("ml millilitre millilitres milliliter milliliters", "l", 0.001),
    ("gallon gallons gallone gallonen", "gallon", 1.),
    ("kb kilobyte kilobytes ko kilooctet kilooctets", "byte", 1e3),
    ("mb megabyte megabytes mo megaoctet megaoctets", "byte", 1e6),
    ("gb gigabyte gigabytes go gigaoctet gigaoctets", "byte", 1e9),
    ("tb terabyte terabytes to teraoctet teraoctets", "byte", 1e12),
    ("mbit mbits mbps megabit megabits", "bit", 1e6),
    ("gbit gbits gbps gigabit gigabits", "bit", 1e9),
    ("kw kilowatt kilowatts", "watt", 1e3),
    ("kwh kilowattstunde kilowattstunden", "kwh", 1.),
    ("tsp teaspoon teaspoons teeloeffel tl", "teaspoon", 1.),
    ("tbsp tablespoon tablespoons essloeffel el", "tablespoon", 1.),
    ("krone kronen kroner krona kronor crown crowns couronne couronnes sek nok dkk", "krone", 1.),
    ("zloty zlotys pln", "zloty", 1.),
    ("digit digits ziffer ziffern chiffre chiffres", "digit", 1.),
    ("celsius", "celsius", 1.),
    ("fahrenheit", "fahrenheit", 1.),
    ("° degree degrees grad degre degres", "degree", 1.),
];

/// Words that name a unit only behind a number.
pub const ONLY_COUNTED: &str =
    "s d h m c g l an go to mo ko el tl min second seconde sec once uhr ton foot once tag day jour";

static NAMED: LazyLock<HashMap<&str, (&str, f64)>> = LazyLock::new(|| {
    let words = |entry: &(&'static str, &'static str, f64)| {
        let (words, unit, factor) = *entry;
        words.split(' ').map(move |word| (word, (unit, factor)))
    };
    UNITS.iter().flat_map(words).collect()
});

pub fn unit(word: &str) -> Option<(&'static str, f64)> {
    let span = || {
        let (_, named, factor) = SPANS
            .iter()
            .find(|(ending, ..)| word.starts_with(ending) && word.len() <= ending.len() + 2)?;
        Some((*named, *factor))
    };
    NAMED.get(word).copied().or_else(span)
}

/// How German ends a word for so many of a time: `dreitägig`.
pub const SPANS: [(&str, &str, f64); 7] = [
    ("jaehrig", "month", 12.),
    ("monatig", "month", 1.),
    ("woechig", "s", 604_800.),
    ("taegig", "s", 86400.),
    ("stuendig", "s", 3600.),
    ("minuetig", "s", 60.),
    ("stellig", "digit", 1.),
];
