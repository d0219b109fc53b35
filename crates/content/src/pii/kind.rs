//! The kinds of personal data and secrets that are told apart.

/// What a finding is. The names are those of the configuration and of placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    Email,
    Phone,
    Iban,
    /// A payment card's number: issuer range, length and Luhn digit.
    PaymentCard,
    IpAddress,
    MacAddress,
    /// Germany, Steuer-Identifikationsnummer.
    DeTaxId,
    /// Germany, Rentenversicherungsnummer.
    DeSocialSecurity,
    /// France, numéro de sécurité sociale.
    FrNir,
    /// France, numéro fiscal.
    FrTaxId,
    /// Spain, DNI and NIE.
    EsDni,
    /// Italy, codice fiscale.
    ItFiscalCode,
    /// Poland.
    PlPesel,
    /// Romania, cod numeric personal.
    RoCnp,
    /// Netherlands, burgerservicenummer.
    NlBsn,
    /// Belgium, numéro national.
    BeNationalNumber,
    /// Sweden, personnummer.
    SePersonnummer,
    /// Portugal, número de identificação fiscal.
    PtNif,
    /// Czechia and Slovakia, rodné číslo.
    CzBirthNumber,
    /// Austria, Sozialversicherungsnummer.
    AtSocialSecurity,
    UsSsn,
    /// United Kingdom, National Insurance number.
    UkNino,
    UkNhsNumber,
    Passport,
    DrivingLicence,
    DateOfBirth,
    /// Keys that providers give a form of their own, and values that are called a secret.
    Credential,
    Jwt,
    PrivateKey,
    /// The secret part of a connection string, or a URL with a password in it.
    ConnectionString,
}

impl Kind {
    pub const ALL: [Self; 30] = [
        Self::Email,
        Self::Phone,
        Self::Iban,
        Self::PaymentCard,
        Self::IpAddress,
        Self::MacAddress,
        Self::DeTaxId,
        Self::DeSocialSecurity,
        Self::FrNir,
        Self::FrTaxId,
        Self::EsDni,
        Self::ItFiscalCode,
        Self::PlPesel,
        Self::RoCnp,
        Self::NlBsn,
        Self::BeNationalNumber,
        Self::SePersonnummer,
        Self::PtNif,
        Self::CzBirthNumber,
        Self::AtSocialSecurity,
        Self::UsSsn,
        Self::UkNino,
        Self::UkNhsNumber,
        Self::Passport,
        Self::DrivingLicence,
        Self::DateOfBirth,
        Self::Credential,
        Self::Jwt,
        Self::PrivateKey,
        Self::ConnectionString,
    ];

    /// Told by check digits alone, or by them and a word.
    pub fn is_checksummed(self) -> bool {
        match self {
            Self::Iban
            | Self::PaymentCard
            | Self::DeTaxId
            | Self::DeSocialSecurity
            | Self::FrNir
            | Self::FrTaxId
            | Self::EsDni
            | Self::ItFiscalCode
            | Self::PlPesel
            | Self::RoCnp
            | Self::NlBsn
            | Self::BeNationalNumber
            | Self::SePersonnummer
            | Self::PtNif
            | Self::CzBirthNumber
            | Self::AtSocialSecurity
            | Self::UkNhsNumber => true,
            Self::Email
            | Self::Phone
            | Self::IpAddress
            | Self::MacAddress
            | Self::UsSsn
            | Self::UkNino
            | Self::Passport
            | Self::DrivingLicence
            | Self::DateOfBirth
            | Self::Credential
            | Self::Jwt
            | Self::PrivateKey
            | Self::ConnectionString => false,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Iban => "iban",
            Self::PaymentCard => "payment_card",
            Self::IpAddress => "ip_address",
            Self::MacAddress => "mac_address",
            Self::DeTaxId => "de_tax_id",
            Self::DeSocialSecurity => "de_social_security",
            Self::FrNir => "fr_nir",
            Self::FrTaxId => "fr_tax_id",
            Self::EsDni => "es_dni",
            Self::ItFiscalCode => "it_fiscal_code",
            Self::PlPesel => "pl_pesel",
            Self::RoCnp => "ro_cnp",
            Self::NlBsn => "nl_bsn",
            Self::BeNationalNumber => "be_national_number",
            Self::SePersonnummer => "se_personnummer",
            Self::PtNif => "pt_nif",
            Self::CzBirthNumber => "cz_birth_number",
            Self::AtSocialSecurity => "at_social_security",
            Self::UsSsn => "us_ssn",
            Self::UkNino => "uk_nino",
            Self::UkNhsNumber => "uk_nhs_number",
            Self::Passport => "passport",
            Self::DrivingLicence => "driving_licence",
            Self::DateOfBirth => "date_of_birth",
            Self::Credential => "credential",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private_key",
            Self::ConnectionString => "connection_string",
        }
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindSet(u32);

impl KindSet {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self((1 << Kind::ALL.len()) - 1);

    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    #[must_use]
    pub fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u8))
    }

    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

impl FromIterator<Kind> for KindSet {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: KindSet = [Kind::Email, Kind::ConnectionString].into_iter().collect();
        for kind in Kind::ALL {
            let expected = matches!(kind, Kind::Email | Kind::ConnectionString);
            assert_eq!(set.has(kind), expected, "{kind:?}");
            assert!(KindSet::ALL.has(kind));
            assert!(!KindSet::ALL.without(kind).has(kind));
        }
    }
}
