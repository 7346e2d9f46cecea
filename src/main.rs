//! tmp
use unigate::{config::{Config, Sources}, demo, run};
fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let rt = tokio::runtime::Runtime::new().unwrap();
    if std::env::args().nth(1).as_deref() == Some("demo") {
        println!("{:?}", rt.block_on(demo::run(std::io::stdout())));
        return;
    }
    let loaded = Config::load(Sources { env: std::env::vars().collect(), path: std::env::args().nth(1).map(Into::into), ..Sources::default() }).unwrap();
    rt.block_on(run::run(loaded)).unwrap();
}
