//! One line for each call, for who wants them: target `access`, off unless the log's filter names
//! it. No content, no credential.

use super::otlp::Told;
use super::series::{operation_name, provider_name};

pub fn write(told: &Told<'_>) {
    if !tracing::enabled!(target: "access", tracing::Level::INFO) {
        return;
    }
    let record = told.record;
    let (opening, usage) = (&record.opening, record.metered.usage());
    let who = &opening.who;
    let trace = told.origin.trace.as_ref();
    tracing::info!(
        target: "access",
        {
            "tollgate.call.id" = %opening.id,
            trace_id = trace.map(|trace| format!("{:032x}", trace.trace_id)),
            "gen_ai.operation.name" = told.operation.map(operation_name),
            "gen_ai.provider.name" = told.asked.map(|asked| provider_name(asked.provider)),
            "gen_ai.request.model" = record.opening.model.as_str(),
            "gen_ai.request.stream" = opening.stream,
            "gen_ai.usage.input_tokens" = usage.prompt,
            "gen_ai.usage.output_tokens" = usage.completion,
            "tollgate.usage.estimated" = record.metered.is_estimated(),
            "tollgate.cost" = record.cost.price().map(|_| record.cost.amount().to_string()),
            "tollgate.currency" = record.cost.currency().map(|currency| currency.to_string()),
            "http.response.status_code" = record.status,
            "tollgate.outcome" = record.outcome.as_str(),
            "tollgate.rule" = record.rule.as_deref(),
            "tollgate.subscription" = who.subscription.as_str(),
            "tollgate.product" = who.product.as_str(),
            "tollgate.application" = who.application.as_ref().map(|name| name.as_str()),
            "tollgate.caller" = &*who.caller,
            "tollgate.backend" = record.backend.as_ref().map(|id| id.as_str()),
            "tollgate.attempts" = record.attempts.len(),
            duration_s = record.latency.as_secs_f64(),
            first_byte_s = record.first_byte.map(|time| time.as_secs_f64())
        },
        "call"
    );
}
