//! redis-rs against a running server: blocking, pipelined, multiplexed, over RESP2 and RESP3.
//!
//! Called with the port and the Unix socket's path; says what failed and exits with 1, or prints the number of checks.

use redis::{AsyncCommands, Commands, ExpireOption, RedisResult, Value};

type Outcome = Result<usize, Box<dyn std::error::Error>>;

fn main() -> std::process::ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(unix_path)) = (args.next(), args.next()) else {
        eprintln!("usage: coldplate-compat PORT UNIXSOCKET");
        return 2.into();
    };
    let addresses = [
        format!("redis://127.0.0.1:{port}/"),
        format!("redis://127.0.0.1:{port}/?protocol=resp3"),
        format!("redis+unix://{unix_path}"),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let mut checks = 0;
    for address in addresses {
        for outcome in [blocking(&address), runtime.block_on(multiplexed(&address))] {
            match outcome {
                Ok(count) => checks += count,
                Err(error) => {
                    eprintln!("{address}: {error}");
                    return 1.into();
                }
            }
        }
    }
    println!("{checks} checks");
    0.into()
}

/// Counts the checks that held, stops at the first that does not.
struct Checks(usize);

impl Checks {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, wanted: T) -> Result<(), String> {
        if got != wanted {
            return Err(format!("{what}: got {got:?}, wanted {wanted:?}"));
        }
        self.0 += 1;
        Ok(())
    }
}

fn blocking(address: &str) -> Outcome {
    let mut checks = Checks(0);
    let mut con = redis::Client::open(address)?.get_connection()?;
    redis::cmd("FLUSHALL").exec(&mut con)?;

    con.set::<_, _, ()>("k", "v")?;
    checks.equal("get", con.get::<_, String>("k")?, "v".into())?;
    checks.equal("get of nothing", con.get::<_, Option<String>>("none")?, None)?;
    con.set::<_, _, ()>("bytes", &[0u8, 13, 10, 255][..])?;
    checks.equal("binary", con.get::<_, Vec<u8>>("bytes")?, vec![0, 13, 10, 255])?;
    checks.equal("incr", con.incr::<_, _, i64>("n", 41)?, 41)?;
    checks.equal("incr by float", con.incr::<_, _, f64>("n", 0.5)?, 41.5)?;
    checks.equal("append", con.append::<_, _, usize>("k", "w")?, 2)?;
    checks.equal("exists", con.exists::<_, bool>("k")?, true)?;

    let pairs: Vec<(String, usize)> = (0..500).map(|i| (format!("m:{i}"), i)).collect();
    con.mset::<_, _, ()>(&pairs)?;
    let keys: Vec<&String> = pairs.iter().map(|(key, _)| key).collect();
    checks.equal("mget", con.mget::<_, Vec<usize>>(&keys)?, (0..500).collect())?;
    checks.equal("scan", con.scan_match::<_, String>("m:*")?.collect::<RedisResult<Vec<_>>>()?.len(), 500)?;
    checks.equal("del", con.del::<_, usize>(&keys)?, 500)?;

    checks.equal("expire", con.expire::<_, bool>("k", 1000)?, true)?;
    checks.equal("ttl", con.ttl::<_, i64>("k")? > 900, true)?;
    let longer: bool = redis::cmd("EXPIRE").arg("k").arg(500).arg(ExpireOption::GT).query(&mut con)?;
    checks.equal("expire gt", longer, false)?;
    checks.equal("persist", con.persist::<_, bool>("k")?, true)?;

    let mut pipe = redis::pipe();
    for i in 0..20_000 {
        pipe.set(format!("p:{i}"), i).ignore();
        pipe.get(format!("p:{i}"));
    }
    checks.equal("pipeline", pipe.query::<Vec<usize>>(&mut con)?, (0..20_000).collect())?;

    let refused = redis::cmd("GET").query::<Value>(&mut con).expect_err("GET without a key is refused");
    checks.equal("the error's text", refused.to_string().contains("wrong number of arguments"), true)?;
    checks.equal("the connection after it", redis::cmd("PING").query::<String>(&mut con)?, "PONG".into())?;
    let large = vec![7u8; 4 << 20];
    con.set::<_, _, ()>("large", &large)?;
    checks.equal("a large value", con.get::<_, Vec<u8>>("large")? == large, true)?;
    Ok(checks.0)
}

async fn multiplexed(address: &str) -> Outcome {
    let mut checks = Checks(0);
    let con = redis::Client::open(address)?.get_multiplexed_async_connection().await?;
    let mut tasks = Vec::new();
    for task in 0..50i64 {
        let mut con = con.clone();
        tasks.push(async move {
            for i in 0..100i64 {
                con.set::<_, _, ()>(format!("async:{task}:{i}"), task * i).await?;
                let got: i64 = con.get(format!("async:{task}:{i}")).await?;
                assert_eq!(got, task * i, "a reply went to another request");
                con.incr::<_, _, i64>("async:total", 1).await?;
            }
            RedisResult::Ok(())
        });
    }
    let mut set = Vec::new();
    for task in tasks {
        set.push(tokio::task::spawn(task));
    }
    for task in set {
        task.await??;
    }
    let mut con = con;
    let total: i64 = con.get("async:total").await?;
    checks.equal("increments of all tasks", total % 5000, 0)?;
    Ok(checks.0)
}
