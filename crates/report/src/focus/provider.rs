//! Who serves a model, as far as a backend's address tells.

/// Names of a backend's operator and of the service that it sells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Provider {
    pub name: String,
    pub service: String,
}

/// By the end of the host's name.
const KNOWN: [(&str, &str, &str); 13] = [
    ("openai.azure.com", "Microsoft", "Azure OpenAI"),
    ("cognitiveservices.azure.com", "Microsoft", "Azure OpenAI"),
    ("services.ai.azure.com", "Microsoft", "Azure AI Foundry"),
    ("models.ai.azure.com", "Microsoft", "Azure AI Foundry"),
    ("api.openai.com", "OpenAI", "OpenAI API"),
    ("api.anthropic.com", "Anthropic", "Claude API"),
    ("amazonaws.com", "Amazon Web Services", "Amazon Bedrock"),
    ("aiplatform.googleapis.com", "Google Cloud", "Vertex AI"),
    (
        "generativelanguage.googleapis.com",
        "Google Cloud",
        "Gemini API",
    ),
    ("api.mistral.ai", "Mistral AI", "Mistral API"),
    ("api.cohere.com", "Cohere", "Cohere API"),
    ("api.deepseek.com", "DeepSeek", "DeepSeek API"),
    ("api.x.ai", "xAI", "xAI API"),
];

impl Provider {
    /// A host that nobody is known by is its own operator: the backend's id.
    pub fn of_backend(id: &str, host: Option<&str>) -> Self {
        let host = host.unwrap_or_default().to_ascii_lowercase();
        let ends = |with: &str| {
            host.strip_suffix(with)
                .is_some_and(|before| before.is_empty() || before.ends_with(['.', '-']))
        };
        match KNOWN.iter().find(|(end, ..)| ends(end)) {
            Some((_, name, service)) => Self {
                name: (*name).to_owned(),
                service: (*service).to_owned(),
            },
            None => Self::itself(id),
        }
    }

    /// Of a call for which no backend is on the record.
    pub fn unknown() -> Self {
        Self::itself("unknown")
    }

    fn itself(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            service: "AI models".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_known_by_the_end_of_its_host() {
        let name = |host| Provider::of_backend("b1", host).name;
        assert_eq!(name(Some("eastus.openai.azure.com")), "Microsoft");
        assert_eq!(name(Some("API.OpenAI.com")), "OpenAI");
        assert_eq!(
            name(Some("us-central1-aiplatform.googleapis.com")),
            "Google Cloud"
        );
        assert_eq!(name(Some("api.openai.com.evil.example")), "b1");
        assert_eq!(name(Some("notapi.openai.com")), "b1");
        assert_eq!(name(None), "b1");
    }
}
