//! Fake providers as their clients see them: through a socket.

#[cfg(test)]
mod azure;
#[cfg(test)]
mod client;
#[cfg(test)]
mod compression;
#[cfg(test)]
mod control;
#[cfg(test)]
mod counting;
#[cfg(test)]
mod documentation;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod openai;
