//! Names of members that the protocol knows: what stands in nearly every object, and says nothing.
//!
//! All other names are texts: whoever wrote the document chose them. A schema's properties are among
//! those, whatever they are called, unless they are called as one of these.

/// Of chat completions, completions, embeddings, responses, models and errors, of Azure's and others'
/// additions to them, and of JSON Schema.
const NAMES: [&str; 308] = [
    // Requests.
    "audio",
    "background",
    "best_of",
    "cache_control",
    "chat_template_kwargs",
    "conversation",
    "data_sources",
    "dimensions",
    "echo",
    "enable_thinking",
    "encoding_format",
    "extra_body",
    "frequency_penalty",
    "function_call",
    "functions",
    "guided_json",
    "include",
    "include_obfuscation",
    "include_usage",
    "input",
    "input_type",
    "instructions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_tool_calls",
    "messages",
    "metadata",
    "min_p",
    "modalities",
    "model",
    "n",
    "options",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "provider",
    "reasoning",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "stop_sequences",
    "store",
    "stream",
    "stream_options",
    "suffix",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "user_location",
    "approximate",
    "verbosity",
    "web_search_options",
    "search_context_size",
    "budget_tokens",
    // Messages and their parts.
    "allowed_tools",
    "annotations",
    "arguments",
    "assistant",
    "b64_json",
    "call_id",
    "citations",
    "content",
    "custom",
    "data",
    "detail",
    "end_index",
    "expires_at",
    "file",
    "file_data",
    "file_id",
    "file_url",
    "filename",
    "format",
    "function",
    "grammar",
    "syntax",
    "definition",
    "id",
    "image_url",
    "index",
    "input_audio",
    "input_image",
    "input_text",
    "is_error",
    "json_schema",
    "media_type",
    "mode",
    "name",
    "output",
    "output_text",
    "parameters",
    "parts",
    "phase",
    "prefix",
    "reasoning_content",
    "refusal",
    "role",
    "schema",
    "source",
    "source_type",
    "start_index",
    "strict",
    "summary",
    "text",
    "title",
    "tool_call_id",
    "tool_calls",
    "tool_use_id",
    "transcript",
    "type",
    "url",
    "url_citation",
    "video_url",
    "voice",
    "signature",
    "variables",
    "version",
    "status",
    "action",
    "query",
    "queries",
    "results",
    "score",
    "attributes",
    "container",
    "encrypted_content",
    // Answers.
    "accepted_prediction_tokens",
    "audio_tokens",
    "billing",
    "bytes",
    "cache_creation_input_tokens",
    "cache_creation_tokens",
    "cache_read_input_tokens",
    "cached_tokens",
    "check_offset",
    "choices",
    "completed_at",
    "completion_time",
    "completion_tokens",
    "completion_tokens_details",
    "content_block",
    "content_filter_offsets",
    "content_filter_raw",
    "content_filter_result",
    "content_filter_results",
    "content_index",
    "content_part_index",
    "created",
    "created_at",
    "custom_blocklists",
    "deleted",
    "delta",
    "detected",
    "embedding",
    "end_offset",
    "end_time",
    "estimated_cost",
    "filtered",
    "finish_reason",
    "first_id",
    "flagged",
    "gpt",
    "hate",
    "has_more",
    "image_tokens",
    "incomplete_details",
    "indirect_attack",
    "input_tokens",
    "input_tokens_details",
    "item",
    "item_id",
    "jailbreak",
    "kv_transfer_params",
    "last_id",
    "license",
    "matched_stop",
    "message",
    "native_finish_reason",
    "obfuscation",
    "object",
    "output_index",
    "output_tokens",
    "output_tokens_details",
    "owned_by",
    "part",
    "permission",
    "profanity",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "prompt_filter_results",
    "prompt_index",
    "prompt_logprobs",
    "prompt_time",
    "prompt_token_ids",
    "prompt_tokens",
    "prompt_tokens_details",
    "protected_material_code",
    "protected_material_text",
    "queue_time",
    "reasoning_details",
    "reasoning_tokens",
    "redacted",
    "rejected_prediction_tokens",
    "response",
    "self_harm",
    "sequence_number",
    "severity",
    "sexual",
    "start_offset",
    "stop_reason",
    "stop_sequence",
    "summary_index",
    "system_fingerprint",
    "text_offset",
    "text_tokens",
    "token",
    "token_ids",
    "token_logprobs",
    "tokens",
    "logprob",
    "total_time",
    "total_tokens",
    "usage",
    "usage_breakdown",
    "violence",
    "x_groq",
    "video_tokens",
    "cost",
    "cost_details",
    // Errors.
    "code",
    "error",
    "errors",
    "inner_error",
    "innererror",
    "param",
    "param_name",
    "request_id",
    "target",
    "details",
    "loc",
    "msg",
    "ctx",
    // JSON Schema.
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "default",
    "definitions",
    "dependentRequired",
    "deprecated",
    "description",
    "else",
    "enum",
    "enumDescriptions",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

const SLOTS: usize = 2048;

/// Of each name its place in [`NAMES`] and one, at its hash or behind; zero where none is.
const TABLE: [u16; SLOTS] = {
    let mut table = [0; SLOTS];
    let mut at = 0;
    while at < NAMES.len() {
        let mut slot = slot_of(NAMES[at].as_bytes());
        while table[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        at += 1;
        table[slot] = at as u16;
    }
    table
};

/// Four bytes and the length tell most names apart, for less than reading all of one.
const fn slot_of(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let mix = (name[0] as usize)
        .wrapping_mul(0x9E37)
        .wrapping_add((name[length - 1] as usize).wrapping_mul(0x85EB))
        .wrapping_add((name[length / 2] as usize).wrapping_mul(0xC2B2))
        .wrapping_add((name[length / 3] as usize).wrapping_mul(0x27D5))
        .wrapping_add(length.wrapping_mul(0x1656));
    (mix ^ (mix >> 11)) % SLOTS
}

pub(super) fn is_known(name: &str) -> bool {
    let mut slot = slot_of(name.as_bytes());
    loop {
        match TABLE[slot] {
            0 => return false,
            known if NAMES[usize::from(known) - 1] == name => return true,
            _ => slot = (slot + 1) % SLOTS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_known_once_and_no_other() {
        for (at, name) in NAMES.iter().enumerate() {
            assert!(is_known(name), "{name}");
            assert!(!NAMES[..at].contains(name), "{name} is there twice");
            assert!(!is_known(&format!("{name}_")));
            assert!(!is_known(&name[1..]) || NAMES.contains(&&name[1..]));
        }
        assert!(!is_known(""));
    }

    #[test]
    fn a_name_is_found_within_a_few_looks() {
        let run = |at: usize| (0..SLOTS).take_while(move |more| TABLE[(at + more) % SLOTS] != 0);
        let longest = (0..SLOTS).map(|at| run(at).count()).max();
        assert!(longest <= Some(12), "{longest:?}");
    }
}
