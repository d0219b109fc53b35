//! Passwords among a command's arguments: `curl -u admin:…`, `mysql -u root -p…`.

use super::assigned::{Assigned, Named};

/// The command stands no farther away.
const COMMAND_BYTES_MAX: usize = 80;
const USER_BYTES_MAX: usize = 40;

/// The password of the option at `dash`.
pub(in super::super) fn find(bytes: &[u8], dash: usize) -> Named {
    if !bytes[..dash].ends_with(b" ") {
        return Named::default();
    }
    let rest = &bytes[dash..];
    if rest.starts_with(b"-p") && takes_password(bytes, dash) {
        return Named {
            value: Some(Assigned::option(dash, dash + "-p".len())),
            is_open: rest.len() == "-p".len(),
        };
    }
    let options = [&b"-u "[..], b"--user ", b"--user="];
    let Some(option) = options.iter().find(|option| rest.starts_with(option)) else {
        return Named {
            value: None,
            is_open: options.iter().any(|option| option.starts_with(rest)),
        };
    };
    let user = &rest[option.len()..];
    let is_of_user = |byte: &&u8| byte.is_ascii_alphanumeric() || b"'\"._@-".contains(byte);
    let len = user.iter().take(USER_BYTES_MAX).take_while(is_of_user);
    let colon = option.len() + len.count();
    Named {
        value: (rest.get(colon) == Some(&b':')).then(|| Assigned::option(dash, dash + colon + 1)),
        is_open: colon == rest.len(),
    }
}

/// Of most commands `-p` takes something else.
fn takes_password(bytes: &[u8], dash: usize) -> bool {
    let near = &bytes[dash.saturating_sub(COMMAND_BYTES_MAX)..dash];
    let line = near.rsplit(|byte| *byte == b'\n').next().unwrap_or(near);
    [&b"mysql"[..], b"mariadb", b"sshpass"]
        .iter()
        .any(|command| memchr::memmem::find(line, command).is_some())
}
