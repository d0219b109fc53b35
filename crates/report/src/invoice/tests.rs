//! Excerpts of exports as providers write them.

use jiff::civil::date;

use super::*;

/// Lines, their currency, and how many rows there are and were passed over.
type Read = (Vec<Line>, Option<String>, (u64, u64));

fn read_as(text: &str, kind: Option<LayoutKind>, mapping: &Mapping) -> Result<Read, InvoiceError> {
    let mut reader = Reader::new(text.as_bytes(), kind, mapping)?;
    let mut lines = Vec::new();
    while reader.lines(&mut lines)? {}
    let currency = reader.currency().map(str::to_owned);
    Ok((lines, currency, reader.counts()))
}

fn read(text: &str) -> Read {
    read_as(text, None, &Mapping::default()).unwrap()
}

fn fault(text: &str) -> String {
    read_as(text, None, &Mapping::default())
        .unwrap_err()
        .to_string()
}

fn line(day: i8, item: &str, kind: TokenKind, tokens: Option<i64>, cost: Option<&str>) -> Line {
    Line {
        day: date(2026, 11, day),
        item: item.to_owned(),
        kind,
        tokens,
        cost: cost.map(|cost| cost.parse().unwrap()),
    }
}

const AZURE: &str = "\
date,meterCategory,meterSubCategory,meterName,unitOfMeasure,quantity,costInBillingCurrency,billingCurrency,tags
11/02/2026,Foundry Models,Azure OpenAI,gpt 4o 1120 Inp glbl Tokens,1K,1234.567,2.8395041,EUR,\"\"\"team\"\": \"\"ai\"\"\"
11/02/2026,Virtual Machines,Dv3,D2 v3,1 Hour,24,1.2,EUR,
11/02/2026,Foundry Models,Azure OpenAI,GPT 5.1 opt Gl 1M Tokens,1M,0.5,4.6,EUR,
11/03/2026,Azure OpenAI,Azure OpenAI,Provisioned Managed Global Unit,1 Hour,50,45.5,EUR,
";

#[test]
fn azure_meters_are_tokens_by_their_unit_and_other_services_are_passed_over() {
    let (lines, currency, counts) = read(AZURE);
    assert_eq!(
        lines,
        [
            line(
                2,
                "gpt 4o 1120 Inp glbl Tokens",
                TokenKind::Input,
                Some(1_234_567),
                Some("2.8395041")
            ),
            line(
                2,
                "GPT 5.1 opt Gl 1M Tokens",
                TokenKind::Output,
                Some(500_000),
                Some("4.6")
            ),
            line(
                3,
                "Provisioned Managed Global Unit",
                TokenKind::Other,
                None,
                Some("45.5")
            ),
        ]
    );
    assert_eq!((currency.as_deref(), counts), (Some("EUR"), (4, 1)));
}

#[test]
fn an_enterprise_agreements_names_are_understood_too() {
    let (lines, currency, _) = read(
        "Date,MeterCategory,MeterName,UnitOfMeasure,Quantity,Cost,BillingCurrencyCode\n\
         2026-11-02,Azure OpenAI,gpt-4o-mini-0718-Outp-regnl Tokens,1K,2,1.5E-05,USD\n",
    );
    let item = "gpt-4o-mini-0718-Outp-regnl Tokens";
    assert_eq!(
        lines,
        [line(
            2,
            item,
            TokenKind::Output,
            Some(2_000),
            Some("0.000015")
        )]
    );
    assert_eq!(currency.as_deref(), Some("USD"));
}

#[test]
fn openai_usage_has_cached_tokens_within_the_input() {
    let (lines, currency, _) = read(
        "start_time,end_time,start_time_iso,model,num_model_requests,input_tokens,output_tokens,input_cached_tokens,input_audio_tokens,output_audio_tokens\n\
         1793577600,1793664000,2026-11-02T00:00:00+00:00,gpt-4o-2024-08-06,5,1000,500,800,,0\n",
    );
    let item = "gpt-4o-2024-08-06";
    assert_eq!(
        lines,
        [
            line(2, item, TokenKind::Input, Some(200), None),
            line(2, item, TokenKind::CachedInput, Some(800), None),
            line(2, item, TokenKind::Output, Some(500), None),
        ]
    );
    assert_eq!(currency, None);
}

#[test]
fn openai_costs_are_line_items() {
    let (lines, currency, _) = read(
        "start_time,end_time,amount_value,amount_currency,line_item,quantity\n\
         1793577600,1793664000,0.0125000000000000006938893903907228377647697925567626953125,usd,\"gpt-4o-2024-08-06, cached input\",10000\n\
         1793577600,1793664000,0.03,usd,code interpreter,0.5\n",
    );
    let item = "gpt-4o-2024-08-06, cached input";
    let cost = Some("0.012500000000000001");
    assert_eq!(
        lines,
        [
            line(2, item, TokenKind::CachedInput, Some(10_000), cost),
            line(2, "code interpreter", TokenKind::Other, None, Some("0.03")),
        ]
    );
    assert_eq!(currency.as_deref(), Some("USD"));
}

#[test]
fn a_focus_export_is_read_ours_too() {
    let (lines, ..) = read(
        "BilledCost,BillingCurrency,ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ServiceCategory,SkuId,SkuMeter\n\
         1.25,EUR,2026-11-02T00:00:00Z,500000,Tokens,AI and Machine Learning,gpt-4o/output,Output Tokens\n\
         9.99,EUR,2026-11-02T00:00:00Z,24,Hours,Compute,vm,Hours\n",
    );
    assert_eq!(
        lines,
        [line(
            2,
            "gpt-4o/output Output Tokens",
            TokenKind::Output,
            Some(500_000),
            Some("1.25")
        )]
    );
}

#[test]
fn any_other_file_is_read_by_a_mapping() {
    let mapping = Mapping {
        columns: [
            "date=Day",
            "model=Model",
            "cost=Net amount",
            "tokens=Tokens",
        ]
        .map(|text| target_and_column(text).unwrap())
        .to_vec(),
        currency: Some("chf".to_owned()),
    };
    let text = "Day,Model,Tokens,Net amount\n20261102,gpt-4o,1500,3.20\n20261102,gpt-4o,,-0.20\n";
    let (lines, currency, _) = read_as(text, None, &mapping).unwrap();
    assert_eq!(
        lines,
        [
            line(2, "gpt-4o", TokenKind::Tokens, Some(1_500), Some("3.2")),
            line(2, "gpt-4o", TokenKind::Tokens, None, Some("-0.2")),
        ]
    );
    assert_eq!(currency.as_deref(), Some("CHF"));
}

#[test]
fn a_wrong_value_is_named_with_its_line_and_column() {
    let azure = |row: &str| {
        fault(&format!(
            "date,meterName,unitOfMeasure,quantity,costInBillingCurrency,billingCurrency\n{row}\n"
        ))
    };
    assert_eq!(
        azure("soon,x Tokens,1K,1,1,EUR"),
        "line 2: date: `soon` is no day; write 2026-11-01 or 11/01/2026 (month first)"
    );
    assert!(
        azure("2026-11-02,x Tokens,1K,\"1,5\",1,EUR")
            .starts_with("line 2: quantity: `1,5` is no number")
    );
    assert!(
        azure("2026-11-02,x Tokens,1K,1,1 EUR,EUR")
            .starts_with("line 2: costInBillingCurrency: `1 EUR`")
    );
    assert_eq!(
        azure("2026-11-02,x Tokens,1K,1,1,EUR\n2026-11-02,x Tokens,1K,1,1,USD"),
        "line 3: costs in USD where there were costs in EUR; compare one currency at a time"
    );
    let usage = "model,num_model_requests,start_time_iso,input_tokens,input_cached_tokens\nm,1,2026-11-02T00:00:00Z,5,6\n";
    assert!(fault(usage).starts_with("line 2: input_cached_tokens: `6` is more than all input"));
}

#[test]
fn a_header_that_fits_nothing_is_told_what_to_do() {
    assert!(fault("a,b\n1,2\n").starts_with("the header fits no known layout"));
    let mapped = |columns: &[&str], text: &str| {
        let columns = columns
            .iter()
            .map(|text| target_and_column(text).unwrap())
            .collect();
        let mapping = Mapping {
            columns,
            currency: None,
        };
        read_as(text, Some(LayoutKind::Mapped), &mapping)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        mapped(&["date=Day"], "Day,b\n1,2\n"),
        "map model: no column of the header is known to hold it; it has: Day, b"
    );
    assert_eq!(
        mapped(&["date=Day", "model=Model"], "Day,b\n1,2\n"),
        "the header has no column `Model` for model; it has: Day, b"
    );
    assert!(mapped(&["date=a", "model=b"], "a,b\n1,2\n").starts_with("map cost, tokens"));
    assert!(
        target_and_column("when=a")
            .unwrap_err()
            .to_string()
            .contains("input_tokens")
    );
    assert!(target_and_column("date").is_err());
}
