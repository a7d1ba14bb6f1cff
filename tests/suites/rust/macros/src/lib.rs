//! Stands in for a macro crate that redis-rs keeps in its repository and does not publish: `#[async_test]` turns an
//! async function into a test on tokio. It gives a connection to one that takes one, and runs one that takes a bool
//! twice.

use proc_macro::{Delimiter, TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn async_test(_attributes: TokenStream, item: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = item.clone().into_iter().collect();
    let at = tokens.iter().position(|token| token.to_string() == "fn").expect("a function");
    let name = tokens[at + 1].to_string();
    let parameters = tokens[at..].iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => Some(group.stream().to_string()),
        _ => None,
    });
    let call = match parameters.expect("a list of parameters").as_str() {
        "" => format!("{name}().await"),
        flag if flag.ends_with(": bool") => format!("{name}(false).await; {name}(true).await"),
        _ => format!("let ctx = TestContext::new(); {name}(ctx.async_connection().await.unwrap()).await"),
    };
    format!("#[test] fn {name}() {{ {item} block_on_all(async {{ {call} }}, RuntimeType::Tokio); }}")
        .parse()
        .expect("valid Rust")
}
