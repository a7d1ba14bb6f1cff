//! Proves what each command line of `coldplate bench` asks for, and what it answers to wrong ones.

use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split('|')
        .flat_map(|part| if part.starts_with("--command=") { vec![part] } else { part.split(' ').collect() })
        .filter(|word| !word.is_empty())
        .map(OsString::from)
        .collect()
}

fn options(line: &str) -> Options {
    parse(words(line)).unwrap_or_else(|refusal| panic!("{line}: {}", refusal.0))
}

fn fault(line: &str) -> String {
    parse(words(line)).err().unwrap_or_else(|| panic!("{line} was understood")).0.to_string()
}

/// clap's own checks of the flags.
#[test]
fn the_definitions_are_sound() {
    command().debug_assert();
}

#[test]
fn the_defaults_are_memtiers() {
    let options = options("");
    assert_eq!(options.endpoint, Endpoint::Tcp("localhost".into(), 6379));
    assert_eq!((options.threads, options.clients, options.pipeline, options.run_count), (4, 50, 1, 1));
    assert_eq!(options.extent, Extent::Requests(10_000));
    assert_eq!(options.commands.iter().map(|command| command.ratio).collect::<Vec<_>>(), [1, 10]);
    assert_eq!((options.keys.first, options.keys.last, options.size.clone()), (0, 10_000_000, Size::Fixed(32)));
    assert_eq!(options.output.percentiles, [50.0, 99.0, 99.9]);
    assert_eq!((options.seed, options.distinct_seeds, options.rate), (0, false, None));
    assert_eq!(options.row_names(), ["SET", "GET"]);
}

#[test]
fn every_flag_is_understood() {
    let options = options(
        "-s 10.0.0.1 -p 7000 -a me:pw -P resp3 --select-db 2 -c 3 -t 2 --pipeline 16 --test-time 5 -x 3 \
         --rate-limiting 100 --open-loop --ratio 2:3 --data-size-list 10:1,20:2 -R --expiry-range 5-9 --key-prefix k \
         --key-minimum 1 --key-maximum 100 --key-pattern G:Z --key-stddev 3 --key-median 50 --key-zipf-exp 0.99 \
         --hot-key-share 0.5 --print-percentiles 90,99.99 --hide-histogram --print-all-runs -o out --json-out-file j \
         --hdr-file-prefix h --distinct-client-seed --randomize",
    );
    assert_eq!(options.endpoint, Endpoint::Tcp("10.0.0.1".into(), 7000));
    let login = Login { user: Some("me".into()), password: Some("pw".into()), hello: Some(3), database: Some(2) };
    assert_eq!(options.login, login);
    assert_eq!(options.extent, Extent::Time(Duration::from_secs(5)));
    assert_eq!((options.rate, options.open_loop), (Some(100), true));
    assert_eq!(options.size, Size::List(vec![(10, 1), (20, 2)]));
    assert_eq!(options.commands[0].words[0], b"SETEX");
    assert_eq!((options.commands[0].pattern, options.commands[1].pattern), (Pattern::Gaussian, Pattern::Zipf));
    assert_eq!((options.keys.stddev, options.keys.median, options.keys.hot_share), (Some(3.0), Some(50.0), 0.5));
    assert_ne!(options.seed, 0);
    assert_eq!(options.output.json, Some(PathBuf::from("j")));
}

#[test]
fn own_commands_have_their_own_ratios() {
    let options = options(
        "|--command=incr __key__|--command-ratio 3 --command-key-pattern S|--command=set __key__ __data__|\
         |--command=incr other|--command-ratio=2",
    );
    let shown: Vec<_> = options
        .commands
        .iter()
        .map(|command| (command.name.as_str(), command.row, command.ratio, command.pattern))
        .collect();
    let expected =
        [("INCR", 0, 3, Pattern::Sequential), ("SET", 1, 1, Pattern::Uniform), ("INCR", 0, 2, Pattern::Uniform)];
    assert_eq!(shown, expected);
    assert_eq!(options.row_names(), ["INCR", "SET"]);
}

#[test]
fn credentials_may_have_no_user() {
    let password = |line: &str| (options(line).login.user, options(line).login.password);
    assert_eq!(password("-a pw"), (None, Some("pw".into())));
    assert_eq!(password("-a :p:w"), (None, Some("p:w".into())));
    assert_eq!(password("-a u:p:w"), (Some("u".into()), Some("p:w".into())));
}

#[test]
fn allkeys_is_a_clients_own_keys() {
    let all = options("-n allkeys --key-minimum 1 --key-maximum 1000 -c 3 -t 1");
    assert_eq!(all.requests(0), 1_000);
    let parallel = options("-n allkeys --key-minimum 1 --key-maximum 1000 -c 3 -t 1 --key-pattern P:P");
    assert_eq!((0..3).map(|index| parallel.requests(index)).sum::<u64>(), 1_000);
}

#[test]
fn wrong_flags_get_clear_answers() {
    for (line, says) in [
        ("-p 0", "0 is not in 1..=65535"),
        ("-c 0", "0 is not in 1..=100000"),
        ("-c -1", "-1 is not in"),
        ("-n 0", "--requests must be a number greater than zero or 'allkeys', not '0'"),
        ("-n 5 --test-time 5", "cannot be used with"),
        ("--ratio 1", "--ratio must be two numbers such as 1:10, not '1'"),
        ("--ratio 0:0", "all ratios are 0"),
        ("--key-pattern R", "--key-pattern must be two of R, G, Z, S, P, such as R:R, not 'R'"),
        ("--key-pattern P:R", "the key pattern P (parallel) must be that of all commands or of none"),
        ("--key-pattern P:P --key-maximum 9", "at least as many keys as there are clients"),
        ("--key-minimum 5 --key-maximum 4", "--key-maximum is below --key-minimum"),
        ("--key-stddev 5", "need the key pattern G"),
        ("--key-pattern G:G --key-median 99999999", "--key-median must lie between"),
        ("--key-zipf-exp 5", "--key-zipf-exp must be within the interval (0, 5), not '5'"),
        ("--hot-key-share 30", "--hot-key-share must be a share from 0 to 1, not '30'"),
        ("--data-size-range 5-1", "--data-size-range must be a range such as 1-10, from 1 on, not '5-1'"),
        ("--data-size-list 5", "--data-size-list must be SIZE:WEIGHT,..."),
        ("-d 5 --data-size-range 1-2", "cannot be used with"),
        ("--expiry-range 0-5", "--expiry-range must be a range such as 1-10, from 1 on, not '0-5'"),
        ("--print-percentiles 50,x", "--print-percentiles must be numbers from 0 to 100"),
        ("--open-loop", "--open-loop needs --rate-limiting"),
        ("--command-ratio 3", "belong behind a --command"),
        ("--command-ratio=3|--command=PING", "--command-ratio must stand behind the --command"),
        ("|--command=PING|--command-key-pattern X", "--command-key-pattern 'X' is not one of its values"),
        ("|--command=SET \"a|", "--command 'SET \"a': unbalanced quotes"),
        ("|--command=PING|--ratio 1:1", "use --command-ratio behind each command instead of --ratio"),
        ("--cluster-mode -S /tmp/s", "--cluster-mode does not go with --unix-socket"),
        ("--cluster-mode --select-db 1", "a cluster has database 0 alone"),
        ("|--command=MGET __key__ __key__|--cluster-mode", "commands with one key only"),
        ("-P memcache_text", "[possible values: redis, resp2, resp3]"),
        ("--nonsense", "unexpected argument '--nonsense'"),
    ] {
        let fault = fault(line);
        assert!(fault.contains(says), "{line}: {fault}");
    }
}
