//! Channels and the rules that use them.

use std::sync::Arc;

use crate::file::alert::Alert;
use crate::file::notify;
use crate::problem::Problems;
use crate::snapshot::{AlertRule, Alerting, Channel};

pub(super) fn alerting(
    channels: Vec<notify::Channel>,
    alerts: Vec<Alert>,
    problems: &mut Problems,
) -> Alerting {
    let mut alerting = Alerting::default();
    for notify::Channel { id, target } in channels {
        let channel = Arc::new(Channel {
            id: id.id.clone(),
            target,
        });
        alerting.channels.insert(id.id, channel);
    }
    for Alert {
        name,
        notify,
        condition,
    } in alerts
    {
        let written = &notify.value;
        if written.items.is_empty() && written.is_whole {
            problems.warning(
                notify.place,
                &format!("alerts[{}].notify", name.id.0),
                "nobody is told: this alert is only logged and listed",
                "name a channel of `notify`",
            );
        }
        alerting.rules.push(Arc::new(AlertRule {
            name: name.id.0,
            condition,
            notify: notify
                .value
                .items
                .into_iter()
                .map(|channel| channel.id)
                .collect(),
        }));
    }
    alerting
}
