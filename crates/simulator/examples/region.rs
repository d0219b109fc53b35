//! One fake region until it is interrupted: `cargo run -p simulator --example region -- ADDRESS JSON`.

use std::net::SocketAddr;

use simulator::{Behaviour, Simulator};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments
        .next()
        .as_deref()
        .unwrap_or("127.0.0.1:9101")
        .parse()?;
    let behaviour: Behaviour = serde_json::from_str(arguments.next().as_deref().unwrap_or("{}"))?;
    let running = Simulator::start(listen, behaviour, 1).await?;
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}
