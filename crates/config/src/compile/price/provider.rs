//! Whose list prices are paid at a backend, where the configuration does not say.

use std::sync::Arc;

use dialect::Dialect;

/// `none` in the configuration; and what nobody knows is no provider either: a server of one's own
/// that answers to `gpt-4o` is not paid as OpenAI is.
pub(in crate::compile) fn provider_of(
    written: Option<&str>,
    dialect: Dialect,
    url: &url::Url,
) -> Option<Arc<str>> {
    match (written, dialect) {
        (Some("none"), _) => None,
        (Some(provider), _) => Some(provider.into()),
        // The price of a global deployment; those of data zones and regions must be said.
        (None, Dialect::AzureOpenAi) => Some("azure".into()),
        (None, Dialect::OpenAi) => by_host(url.host_str()?).map(Arc::from),
    }
}

/// Hosts that speak OpenAI's dialect.
fn by_host(host: &str) -> Option<&'static str> {
    const HOSTS: [(&str, &str); 12] = [
        ("api.openai.com", "openai"),
        ("openai.azure.com", "azure"),
        ("services.ai.azure.com", "azure-ai"),
        ("api.anthropic.com", "anthropic"),
        ("generativelanguage.googleapis.com", "gemini"),
        ("api.mistral.ai", "mistral"),
        ("api.cohere.ai", "cohere"),
        ("api.deepseek.com", "deepseek"),
        ("api.x.ai", "xai"),
        ("api.groq.com", "groq"),
        ("api.together.xyz", "together"),
        ("api.cerebras.ai", "cerebras"),
    ];
    let is_host = |known: &str| {
        let rest = host.strip_suffix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let found = HOSTS.iter().find(|(known, _)| is_host(known));
    found.map(|(_, provider)| *provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_providers_own_hosts_have_its_prices() {
        let of = |url: &str| {
            let url = url::Url::parse(url).expect("a URL");
            provider_of(None, Dialect::OpenAi, &url)
        };
        assert_eq!(of("https://api.openai.com/v1").as_deref(), Some("openai"));
        assert_eq!(
            of("https://eu.api.openai.com/v1").as_deref(),
            Some("openai")
        );
        assert_eq!(
            of("https://east.openai.azure.com/openai/v1").as_deref(),
            Some("azure")
        );
        assert_eq!(of("https://notapi.openai.com.example/v1"), None);
        assert_eq!(of("https://evilapi.openai.com/v1"), None);
        assert_eq!(of("http://vllm:8000/v1"), None);
        assert_eq!(of("http://127.0.0.1:8000/v1"), None);
    }

    #[test]
    fn what_is_written_comes_first() {
        let url = url::Url::parse("https://api.openai.com").expect("a URL");
        let of = |written, dialect| provider_of(Some(written), dialect, &url);
        assert_eq!(of("none", Dialect::AzureOpenAi), None);
        assert_eq!(
            of("azure/eu", Dialect::AzureOpenAi).as_deref(),
            Some("azure/eu")
        );
    }
}
