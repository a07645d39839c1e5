//! The frames of a trace that are a program's own: a function with its class or module, nothing that a build changes.

use super::pattern::Pattern;
use super::{ANY_FRAMES, OWN_FRAMES};
use crate::record::Language;
use std::sync::LazyLock;

/// How the frames of a language look. Groups: `f` function, `p` path of its file (its last part enters the frame where
/// the function has no module of its own).
struct Frames {
    language: Language,
    pattern: &'static str,
    /// A function that begins so is the runtime's or a library's.
    library_functions: &'static [&'static str],
    /// A path that holds one of these is too.
    library_paths: &'static [&'static str],
    /// The frame nearest to the throw stands last.
    is_nearest_last: bool,
    names_file: bool,
}

static FRAMES: &[Frames] = &[
    Frames {
        language: Language::Java,
        pattern: r"^\s*at (?:[\w.$\-@]+/+)*(?P<f>[A-Za-z_$<][\w$.<>\-]*)(?:/0x[0-9a-f]+)?(?P<g>\.[\w$<>]+)?\s?\(",
        library_functions: &[
            "java.",
            "javax.",
            "jakarta.",
            "jdk.",
            "sun.",
            "com.sun.",
            "kotlin.",
            "kotlinx.",
            "scala.",
            "groovy.",
            "clojure.",
            "android.",
            "androidx.",
            "dalvik.",
            "com.android.internal.",
            "org.springframework.",
            "org.apache.",
            "org.eclipse.jetty.",
            "org.hibernate.",
            "io.netty.",
            "io.vertx.core.",
            "io.undertow.",
            "reactor.",
            "io.reactivex.",
            "rx.",
            "org.junit.",
            "com.google.common.",
            "com.fasterxml.",
            "okhttp3.",
            "com.zaxxer.",
            "org.jboss.",
            "io.quarkus.",
            "com.google.inject.",
            "feign.",
            "akka.",
        ],
        library_paths: &[],
        is_nearest_last: false,
        names_file: false,
    },
    Frames {
        language: Language::CSharp,
        pattern: r"^\s*(?:at|bei|(?u:à)|en|in|w|(?u:在)) (?P<f>[\w.<>`+|$\[\],]+?) ?\(",
        library_functions: &[
            "System.",
            "Microsoft.",
            "Mono.",
            "MS.",
            "Newtonsoft.",
            "Npgsql.",
            "Serilog.",
            "Castle.",
        ],
        library_paths: &[],
        is_nearest_last: false,
        names_file: false,
    },
    Frames {
        language: Language::JavaScript,
        pattern: r"^\s*(?:at (?:async )?(?:new )?(?:(?P<f>[^\s(]+)(?: \[as \w+\])? \()?|(?P<g>[^@\s]*)@)(?P<p>[^()\s]+?)(?::\d+){0,2}\)?(?: \{)?$",
        library_functions: &[
            "process.processTicksAndRejections",
            "Module._",
            "Module.load",
            "Promise.",
        ],
        library_paths: &[
            "node_modules/",
            "node:",
            "internal/",
            "native",
            "<anonymous>",
            "[native code]",
        ],
        is_nearest_last: false,
        names_file: true,
    },
    Frames {
        language: Language::Python,
        pattern: r#"^[\s|]*File "(?P<p>[^"]*)", line \d+(?:, in (?P<f>\S+))?"#,
        library_functions: &[],
        library_paths: &[
            "/site-packages/",
            "/dist-packages/",
            "/lib/python",
            "\\lib\\",
            "<frozen",
            "/lib64/python",
        ],
        is_nearest_last: true,
        names_file: true,
    },
    Frames {
        language: Language::Go,
        pattern: r"^\s*(?:created by )?(?P<f>[\w.\-/@~%]+\.[\w.()*\[\]]+?)(?:\([^()]*\)(?: in goroutine \d+)?)?$",
        library_functions: &[
            "runtime.",
            "runtime/",
            "panic",
            "testing.",
            "net/",
            "sync.",
            "reflect.",
            "os.",
            "io.",
            "syscall.",
            "internal/",
            "encoding/",
            "database/",
            "context.",
            "log.",
            "bufio.",
            "bytes.",
            "strings.",
            "fmt.",
            "time.",
            "go.uber.org/zap",
        ],
        library_paths: &[],
        is_nearest_last: false,
        names_file: false,
    },
    Frames {
        language: Language::Rust,
        pattern: r"^\s*\d+: (?:0x[0-9a-f]+ - )?(?P<f>\S.*)$",
        library_functions: &[
            "std::",
            "core::",
            "alloc::",
            "<core::",
            "<alloc::",
            "<std::",
            "rust_begin_unwind",
            "__rust",
            "rust_panic",
            "__libc",
            "_start",
            "main",
            "tokio::",
            "test::",
            "backtrace",
            "anyhow::",
            "eyre::",
            "color_eyre::",
            "<E as anyhow",
            "rayon",
            "__rustc",
            "start_thread",
            "clone",
            "futures",
        ],
        library_paths: &[],
        is_nearest_last: false,
        names_file: false,
    },
    Frames {
        language: Language::Php,
        pattern: r"^\s*#\d+ (?:(?P<p>\S+)\(\d+\): )(?P<f>[\w\\{}>:\-]+)\(",
        library_functions: &["Illuminate\\", "Symfony\\"],
        library_paths: &["/vendor/"],
        is_nearest_last: false,
        names_file: true,
    },
    Frames {
        language: Language::Ruby,
        pattern: r"^\s*(?:\d+: )?(?:from )?(?:(?P<g>[\w\-]+ \(\d[\w.\-]*\)) )?(?P<p>[^\s:]+):\d+:in [`'](?:block (?:\(\d+ levels\) )?in |rescue in |ensure in )?(?P<f>[^']*)'",
        library_functions: &[],
        library_paths: &["/gems/", "<internal:", "/lib/ruby/", " ("],
        is_nearest_last: false,
        names_file: true,
    },
    Frames {
        language: Language::Dart,
        pattern: r"^\s*#\d+ +(?P<f>\S.*?) \((?P<p>[^()]*?)(?::\d+)*\)$",
        library_functions: &["_startIsolate", "_RawReceivePort", "_Timer", "_Future"],
        library_paths: &["dart:", "package:flutter/"],
        is_nearest_last: false,
        names_file: true,
    },
    Frames {
        language: Language::Kernel,
        pattern: r"^\s*(?:<\w+> *)?(?:\[<(?:0x)?[0-9a-f]+>\] )?(?P<f>[\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+",
        library_functions: &[
            "dump_stack",
            "show_stack",
            "dump_backtrace",
            "print_",
            "kasan_",
            "__kasan",
            "__asan",
            "check_memory_region",
            "panic",
            "warn_slowpath",
            "__warn",
            "report_bug",
            "do_error_trap",
            "entry_",
            "do_syscall",
            "ret_from_fork",
        ],
        library_paths: &[],
        is_nearest_last: false,
        names_file: false,
    },
    Frames {
        language: Language::Cpp,
        pattern: r"^\s*#\d+\s+(?:0x[0-9a-f]+ )?(?:in )?(?P<f>[A-Za-z_~][^\s(]*)",
        library_functions: &[
            "__asan",
            "__interceptor",
            "__sanitizer",
            "__libc",
            "_start",
            "std::",
            "__cxa",
            "abort",
            "raise",
            "__GI",
            "pc",
            "operator",
        ],
        library_paths: &[],
        is_nearest_last: false,
        names_file: false,
    },
    Frames {
        language: Language::Elixir,
        pattern: r"^\s+(?:\((?P<g>[\w.]+) [\w.\-+]+\) )?\S+:\d+: (?P<f>\S+)",
        library_functions: &["GenServer.", ":gen_server", ":proc_lib", "Task.", "Enum.", "anonymous"],
        library_paths: &["stdlib", "elixir"],
        is_nearest_last: false,
        names_file: false,
    },
    Frames {
        language: Language::Perl,
        pattern: r"^\s+(?P<f>[\w:]+)\(.*\) called at ",
        library_functions: &["Carp::"],
        library_paths: &[],
        is_nearest_last: false,
        names_file: false,
    },
    Frames {
        language: Language::Swift,
        pattern: r"^\s*\d+\s+(?:\S+\s+0x[0-9a-f]+ )?(?P<f>\S.*?)(?: \+ \d+)?(?: in .*)?$",
        library_functions: &["Swift", "CoreFoundation", "libsystem", "swift", "_swift", "UIKit"],
        library_paths: &[],
        is_nearest_last: false,
        names_file: false,
    },
];

static COMPILED: LazyLock<Vec<Pattern>> =
    LazyLock::new(|| FRAMES.iter().map(|frames| Pattern::new(frames.pattern)).collect());

/// The own frames of a trace, the one nearest to the throw first; those of any kind where none is known as own.
pub(super) fn own(text: &str, language: Language) -> Vec<String> {
    let at = FRAMES.iter().position(|frames| frames.language == language);
    let Some((frames, pattern)) = at.map(|at| (&FRAMES[at], &COMPILED[at])) else {
        return Vec::new();
    };
    let mut own: Vec<String> = Vec::new();
    let mut any: Vec<String> = Vec::new();
    let mut take = |line: &str| {
        let Some(found) = pattern.of(line).and_then(|pattern| pattern.captures(line.as_bytes())) else {
            return;
        };
        let group = |name| {
            let group = found.name(name).and_then(|group| line.get(group.range()));
            group.unwrap_or_default()
        };
        let (function, path) = (group("f"), group("p"));
        let owner = group("g");
        let library = starts_with_any(function, frames.library_functions)
            || [path, owner]
                .iter()
                .any(|place| frames.library_paths.iter().any(|part| place.contains(part)));
        let name = match language {
            Language::Java | Language::JavaScript => plain_name(&format!("{function}{owner}"), language),
            _ => plain_name(function, language),
        };
        let name = if frames.names_file {
            format!("{}:{name}", file_name(path))
        } else {
            name
        };
        let list = if library { &mut any } else { &mut own };
        // A frame that calls itself, or whose lambda does, is one.
        if !name.is_empty() && list.last() != Some(&name) && list.len() < OWN_FRAMES {
            list.push(name);
        }
    };
    if frames.is_nearest_last {
        text.lines().rev().for_each(&mut take);
    } else {
        text.lines().for_each(&mut take);
    }
    any.truncate(ANY_FRAMES);
    if own.is_empty() { any } else { own }
}

fn starts_with_any(text: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| text.starts_with(beginning))
}

/// The last part of a path, without its query, version hash and extension.
fn file_name(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or(path);
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let name = name.split('.').next().unwrap_or(name);
    // Bundlers put a hash of the content behind the name: `app-1f2e3d4c`.
    match name.rsplit_once('-') {
        Some((stem, hash))
            if hash.len() >= 6
                && hash.chars().any(|c| c.is_ascii_digit())
                && hash.chars().all(|c| c.is_ascii_alphanumeric()) =>
        {
            stem
        }
        _ => name,
    }
}

/// A function without what compilers make up: numbers of lambdas and anonymous classes, proxies, hashes, addresses.
fn plain_name(function: &str, language: Language) -> String {
    static MADE_UP: LazyLock<Pattern> = LazyLock::new(|| {
        let parts = [
            r"\$\$(?:Lambda|Enhancer\w+|FastClass\w+|Spring\w+)[\w$]*(?:/0x[0-9a-f]+)?",
            r"::h[0-9a-f]{16}\b",
            r"::\{\{?(?:closure|impl|vtable\.shim)\}?\}(?:#\d+)?",
            r"\$\d+\b",
            r"\.func\d+(?:\.\d+)*|\.gowrap\d+|\.deferwrap\d+",
            r"\.(?:constprop|isra|part|cold|llvm)(?:\.\d+)+|\.(?:cold|isra|constprop)$",
            r"<>c(?:__DisplayClass[\d_]+)?\.?",
            r">[bdg]__[\d_|]*(?:\.MoveNext)?",
            r"0x[0-9a-f]+",
        ];
        Pattern::new(parts.join("|"))
    });
    let without = MADE_UP
        .of(function)
        .map(|made_up| made_up.replace_all(function.as_bytes(), b""));
    let function = without.map_or(function.into(), |without| {
        String::from_utf8_lossy(&without).into_owned()
    });
    let function = match language {
        // `lambda$run$0` is a part of `run`.
        Language::Java => function.replace("lambda$", ""),
        Language::CSharp => function.replace(['<', '>'], ""),
        _ => function,
    };
    function.trim_end_matches(['.', '+', '$', ':']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_in_both_forms() {
        for pattern in COMPILED.iter() {
            assert!(pattern.of("a").is_some() && pattern.of("ä").is_some(), "{pattern:?}");
        }
    }

    #[test]
    fn what_compilers_make_up_is_no_part_of_a_name() {
        for (function, language, want) in [
            (
                "com.shop.Cart$$Lambda$12/0x0001.run",
                Language::Java,
                "com.shop.Cart.run",
            ),
            ("com.shop.Cart$1.call", Language::Java, "com.shop.Cart.call"),
            (
                "com.shop.Cart$$EnhancerBySpringCGLIB$$ab12.pay",
                Language::Java,
                "com.shop.Cart.pay",
            ),
            (
                "shop::cart::pay::{{closure}}::h0123456789abcdef",
                Language::Rust,
                "shop::cart::pay",
            ),
            ("shop/cart.(*Cart).Pay.func2.1", Language::Go, "shop/cart.(*Cart).Pay"),
            (
                "Shop.Cart.<PayAsync>d__5.MoveNext",
                Language::CSharp,
                "Shop.Cart.PayAsync",
            ),
        ] {
            assert_eq!(plain_name(function, language), want);
        }
    }
}
