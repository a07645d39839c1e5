use super::*;

fn level(line: &str) -> Option<Level> {
    scan(line.as_bytes()).level
}

fn message(line: &str) -> &str {
    line[scan(line.as_bytes()).len..].trim_start()
}

fn check(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (want, line) in cases {
        let got = level(line).map_or("-", Level::as_str);
        if got != *want {
            wrong.push(format!("want {want} got {got}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn levels_behind_a_thread_inside_of_a_bracket_or_a_column() {
    check(&[
        ("error", "[2026-11-23T06:00:01.123Z http-7      ERROR com.acme.Api] x"),
        ("info", "2026-11-23T06:00:01.123Z [grpc-5  INFO  com.acme.Api  opId=] x"),
        ("info", "2026-11-23T06:00:01.123Z [main [] INFO  com.acme.Api  opId=] x"),
        ("trace", "2026-11-23T06:00:01.123Z [7F00AA verbose 'Default' opID=1a] x"),
        ("warn", "[2026-11-23 06:00:01:123 'Store' 1397 WARN]  [store, 155] x"),
        ("-", "2026-11-23T06:00:01.123Z [worker ERROR handling] x"),
        ("-", "[2026-11-23 06:00:01] [main info page] x"),
        ("warn", "[2026-11-23T06:00:01,123] WARN574240[Thread-35] - x"),
        ("info", "2026-11-23T06:00:01Z In(14)[+] hostd[1001]: x"),
        ("warn", "2026/11/23 06:00:01 ...ting/logger.go:68:func1() [W] x"),
        ("debug", "2026-11-23T06:00:01.160-07:00 D t0 poll.cc:47 x"),
        ("-", "2026-11-23T06:00:01.160-07:00 A man, a plan"),
        (
            "error",
            "2026-11-23 06:00:01 CET:10.0.0.1(5432):amy@shop:[123]:ERROR:  x",
        ),
        ("error", "2026-11-23 06:00:01.12 spid51      Error: 18456, Severity: 14"),
        ("-", "2026-11-23 06:00:01.12 spid51      Starting up"),
        ("error", "[E 261123 06:00:01 web:1798] Uncaught exception GET /"),
        ("info", "[I 2026-11-23 06:00:01.123 ServerApp] x"),
        ("error", "*Nov 23 06:00:01.123: %LINK-3-UPDOWN: x"),
        ("error", "(2026-11-23  6:00:01): [be[acme]] [sysdb_add] (0x0040): x"),
        ("fatal", "(Mon Nov 23 06:00:01 2026) [sssd] [load] (0x0020): x"),
        (
            "warn",
            "[12]{-1}[-1/-1] 2026-11-23 06:00:01.123456 w backup       Main.cpp(01) : x",
        ),
        ("info", "2026-11-23 06:00:01.123+00:00 [noti] <0.4.0> x"),
    ]);
    assert_eq!(message("2026-11-23 06:00:01.123 Acme[12:3f] *** gone"), "*** gone");
}

#[test]
fn java_and_its_relatives() {
    check(&[
        (
            "error",
            "2026-11-23 06:00:01,123 ERROR [main] com.acme.Checkout - payment refused",
        ),
        (
            "warn",
            "2026-11-23 06:00:01,123 - WARN  [worker:Quorum$Listener@49] - connection broken",
        ),
        ("info", "26/11/23 06:00:01 INFO executor.Backend: registered"),
        ("info", "261123 060001 222 INFO dfs.DataNode: block served"),
        (
            "error",
            "2026-11-23T06:00:01.123+01:00 ERROR 4711 --- [nio-8080-exec-1] c.a.Api : refused",
        ),
        ("fatal", "06:00:01.123 [main] FATAL com.acme.Main - gone"),
        ("error", "[main] ERROR com.acme.Main - simple logger"),
        (
            "error",
            "23-Nov-2026 06:00:01.123 SEVERE [main] org.acme.Catalina.start failed",
        ),
        ("error", "SEVERE: servlet failed"),
        (
            "debug",
            "DEBUG [main] 2026-11-23 06:00:01,123 Daemon.java:40 - heap size",
        ),
        ("info", "[2026-11-23T06:00:01,123][INFO ][o.a.n.Node] [node-1] started"),
        ("info", "[2026-11-23 06:00:01,123] INFO started (acme.Server)"),
        ("debug", "[DEBUG 2026-11-23 06:00:01 main] catalog compiled"),
        ("warn", "[ WARN 2026-11-23 06:00:01 main] catalog old"),
        (
            "error",
            "####<Nov 23, 2026 6:00:01 AM UTC> <Error> <Deployer> <host> <server> failed",
        ),
        (
            "error",
            "[11/23/26 6:00:01:123 UTC] 0000001a ServletWrappe E   SRVE0068E: refused",
        ),
        (
            "error",
            "2026-11-23 06:00:01.123 [req=1f, org=acme] ERROR org.acme.Pool - empty",
        ),
        ("warn", "2026-11-23 06:00:01 WARN"),
        ("debug", "Nov-23 06:00:01.123 [main] DEBUG flow.Cli - launch"),
        ("info", "[0.005s][info][gc] using G1"),
    ]);
}

#[test]
fn python_ruby_php_elixir() {
    check(&[
        ("error", "ERROR:root:payment refused"),
        ("error", "2026-11-23 06:00:01,123 - acme.api - ERROR - refused"),
        ("warn", "2026-11-23 06:00:01,123 root         WARNING  disk almost full"),
        (
            "info",
            "2026-11-23 06:00:01.123 4711 INFO acme.compute.manager [req-1 - -] started",
        ),
        (
            "info",
            "acme-api.log.1 2026-11-23 06:00:01.123 4711 INFO acme.compute.manager [req-1 - -] started",
        ),
        (
            "error",
            "2026-11-23 06:00:01.123 | ERROR    | acme.db:connect:12 - refused",
        ),
        ("info", "[2026-11-23 06:00:01 +0000] [12] [INFO] booting worker"),
        ("error", "[2026-11-23 06:00:01,123: ERROR/MainProcess] task failed"),
        ("debug", "2026-11-23 06:00:01,123 - util.py[DEBUG]: running"),
        (
            "error",
            "2026-11-23 06:00:01,123 [acme.minion      :1234][ERROR   ][99] refused",
        ),
        ("info", "[2026-11-23, 06:00:01 UTC] {taskinstance.py:123} INFO - queued"),
        (
            "warn",
            "2026-11-23 06:00:01,123 fail2ban.filter         [99]: WARNING banned",
        ),
        (
            "error",
            "E, [2026-11-23T06:00:01.123456 #99] ERROR -- : undefined method",
        ),
        ("info", "I, [2026-11-23T06:00:01.123456 #99]  INFO -- acme: started"),
        ("info", "2026-11-23T06:00:01.123Z pid=12 tid=x1 class=Job INFO: start"),
        ("error", "[2026-11-23 06:00:01] local.ERROR: refused {\"user\":1}"),
        ("fatal", "[2026-11-23T06:00:01.123456+00:00] request.CRITICAL: Uncaught"),
        (
            "fatal",
            "[23-Nov-2026 06:00:01 UTC] PHP Fatal error:  Uncaught Exception in /a.php:3",
        ),
        ("warn", "PHP Warning:  undefined variable in /a.php on line 3"),
        ("info", "[23-Nov-2026 06:00:01] NOTICE: fpm is running, pid 1"),
        ("error", "06:00:01.123 [error] GenServer terminating"),
        ("warn", "06:00:01.123 request_id=F1 [warning] slow"),
        ("error", "=ERROR REPORT==== 23-Nov-2026::06:00:01 ==="),
        (
            "error",
            "MainThread::ERROR::2026-11-23 06:00:01,123::vdsm::74::vds::(run) refused",
        ),
    ]);
}

#[test]
fn go_rust_dotnet_javascript() {
    check(&[
        ("error", "E1123 06:00:01.123456   99 main.go:12] refused"),
        ("info", "I20261123 06:00:01.123456 99 main.cc:12] loaded"),
        ("error", "ERRO[0012] refused"),
        ("error", "2026/11/23 06:00:01 [ERROR] agent: refused"),
        ("error", "2026-11-23T06:00:01.123Z\tERROR\tapi/main.go:12\trefused"),
        ("info", "1795413601.25\tinfo\tapi/main.go:12\tstarted"),
        ("error", "6:00AM ERR refused port=1"),
        ("warn", "2026-11-23T06:00:01Z WRN slow"),
        ("info", "2026-11-23 06:00:01.123456 I | server: started"),
        ("-", "2026/11/23 06:00:01 http: server closed"),
        ("error", "[2026-11-23T06:00:01Z ERROR acme::db] refused"),
        ("info", "2026-11-23T06:00:01.123456Z  INFO acme::db: connected"),
        (
            "warn",
            "\x1b[2m2026-11-23T06:00:01.123456Z\x1b[0m \x1b[33m WARN\x1b[0m acme: slow",
        ),
        ("trace", " TRACE acme: shaving"),
        ("error", "[06:00:01 ERR] refused"),
        ("info", "2026-11-23 06:00:01.123 +01:00 [INF] started"),
        ("error", "2026-11-23 06:00:01.1234|ERROR|Acme.Program|refused"),
        (
            "error",
            "2026-11-23 06:00:01,123 [5] ERROR Acme.Program [(null)] - refused",
        ),
        ("error", "fail: Acme.Host[0]"),
        ("debug", "dbug: Acme.Host[1]"),
        (
            "error",
            "2026-11-23 06:00:01, Error                 CBS    failed to load",
        ),
        ("error", "npm ERR! code ELIFECYCLE"),
        ("warn", "npm WARN deprecated thing@1.0.0"),
        ("error", "2026-11-23T06:00:01.123Z error: refused"),
    ]);
}

#[test]
fn servers_and_databases() {
    check(&[
        (
            "error",
            "[Mon Nov 23 06:00:01.123456 2026] [core:error] [pid 1:tid 2] [client ::1:5] no such file",
        ),
        ("info", "[Mon Nov 23 06:00:01 2026] [notice] configured"),
        ("error", "2026/11/23 06:00:01 [error] 12#12: *3 open() failed"),
        ("fatal", "2026/11/23 06:00:01 [emerg] 12#12: bind() failed"),
        ("info", "2026-11-23 06:00:01.378 UTC [26241] LOG:  starting PostgreSQL"),
        (
            "error",
            "2026-11-23 06:00:01.378 UTC [26241] app@db ERROR:  relation does not exist",
        ),
        (
            "fatal",
            "2026-11-23 06:00:01 CET [1]: [2-1] user=a,db=b FATAL:  role does not exist",
        ),
        ("debug", "2026-11-23 06:00:01.378 UTC [26241] DEBUG2:  checkpoint"),
        (
            "-",
            "2026-11-23 06:00:01.378 UTC [26241] STATEMENT:  select error from t",
        ),
        (
            "error",
            "2026-11-23T06:00:01.000001Z 10 [ERROR] [MY-010055] [Server] refused",
        ),
        (
            "info",
            "2026-11-23T06:00:01.000001Z 0 [System] [MY-010931] [Server] ready",
        ),
        ("info", "261123  6:00:01 [Note] mysqld: ready"),
        ("info", "1:M 23 Nov 2026 06:00:01.123 * ready to accept connections"),
        ("warn", "[1:M] 23 Nov 2026 06:00:01.123 # overcommit_memory is 0"),
        ("debug", "12:S 23 Nov 2026 06:00:01.123 . 5 clients connected"),
        ("info", "2026-11-23T06:00:01.123+0000 I NETWORK  [listener] waiting"),
        ("error", "2026-11-23T06:00:01.123+0000 E STORAGE  [conn1] refused"),
        (
            "error",
            "[ns_server:error,2026-11-23T06:00:01.123Z,ns_1@cb.local:<0.1.0>:x]refused",
        ),
        (
            "info",
            "[info] 2026-11-23T06:00:01.123456Z node@host <0.9.0> -------- starting",
        ),
        ("warn", "2026-11-23 06:00:01.123456+00:00 [warning] <0.9.0> memory high"),
        ("error", "23-Nov-2026 06:00:01.123 lame-servers: error: refused"),
        ("info", "[1795413601] unbound[12:0] info: start of service"),
        ("error", "E [23/Nov/2026:06:00:01 +0000] [Job 1] stopped"),
        ("warn", "2026/11/23 06:00:01 kid1| WARNING: disk is full"),
        ("error", "[Nov 23 06:00:01] ERROR[99]: chan_sip.c:12 handle: refused"),
        ("error", "[2026-11-23 06:00:01] ERROR[99][C-01]: chan_sip.c: refused"),
        (
            "-",
            "10.1.2.3 - - [23/Nov/2026:06:00:01 +0000] \"GET /error HTTP/1.1\" 500 12 \"-\" \"ERROR\"",
        ),
        (
            "info",
            "10.1.2.3 - amy [23/Nov/2026:06:00:01 +0000] \"GET /error HTTP/1.1\" 200 12 \"-\" \"ERROR\"",
        ),
        (
            "info",
            "10.1.2.3 - - [23/Nov/2026:06:00:01 +0000] \"HEAD / HTTP/2\" 304 -",
        ),
        (
            "info",
            "2026-11-23T06:00:01 10.1.2.3 - GET \"/a b\" -1 301 7 \"-\" \"-\"",
        ),
        (
            "-",
            "10.1.2.3 - - [23/Nov/2026:06:00:01 +0000] \"GET / HTTP/1.1\" 404 12",
        ),
        ("-", "2026-11-23T06:00:01 GET / 200"),
        ("-", "2026-11-23T06:00:01 GET /a took 200 12"),
        ("-", "GET /a 200 12"),
    ]);
}

#[test]
fn systems_and_devices() {
    check(&[
        ("debug", "11-23 06:00:01.123  1702  8671 D PowerManager: acquire lock"),
        ("warn", "11-23 06:00:01.123  root  1702  8671 W Wlan: water mark"),
        (
            "error",
            "11-23 06:00:01.123 E/AndroidRuntime(99): FATAL EXCEPTION: main",
        ),
        ("warn", "W/ActivityManager(  99): slow"),
        ("info", "I/chatty: identical lines"),
        ("error", "[    12.345] (EE) no screens found"),
        ("-", "[   12.345678] usb 1-1: device descriptor read error"),
        ("warn", "kern  :warn  : [    1.234567] throttled"),
        (
            "debug",
            "2026-11-23T06:00:01.123Z Db(167) Hostd[99]: [Originator@6876 sub=A] span",
        ),
        ("info", "2026-11-23T06:00:01.123Z info vlcm [cfg.go:37] timeouts"),
        ("warn", "2026-11-23T06:00:01.123Z cpu1:1234)WARNING: NetSched: 12"),
        (
            "fatal",
            "KERNDTLB 1795413601 2026.11.23 R30-M0 2026-11-23-06.00.01.123456 R30-M0 RAS KERNEL FATAL data TLB error",
        ),
        (
            "error",
            "- 1795413601 2026.11.23 NULL 2026-11-23-06.00.01.123456 NULL RAS MMCS ERROR proxy hit",
        ),
        (
            "info",
            "- 1795413601 2026.11.23 R02 2026-11-23-06.00.01.123456 R02 NULL DISCOVERY INFO node error counted",
        ),
        (
            "-",
            "- 1795413601 2026.11.23 dn2 Nov 23 06:00:01 dn2/dn2 crond(pam_unix)[2915]: session opened",
        ),
        ("error", "%LINK-3-UPDOWN: Interface changed state"),
        ("info", "<info>  [1795413601.25] manager: started"),
        ("warn", "warning: unused variable"),
        ("error", "unit.service: error: refused"),
        ("info", "level=info something else"),
        ("error", "web-1  | 2026-11-23 06:00:01 ERROR refused"),
    ]);
}

#[test]
fn chinese_levels() {
    check(&[
        ("error", "2026-11-23 06:00:01 [错误] 连接失败"),
        ("warn", "2026-11-23 06:00:01 警告：磁盘将满"),
        ("error", "严重: 无法启动"),
        ("info", "【信息】已启动"),
        ("fatal", "2026年11月23日 06:00:01 致命 退出"),
        ("-", "2026-11-23 06:00:01 错误码为零"),
    ]);
}

#[test]
fn a_word_in_the_message_is_no_level() {
    check(&[
        ("info", "2026-11-23 06:00:01 INFO no ERROR found, 0 WARN"),
        ("-", "2026-11-23 06:00:01 request finished without ERROR"),
        ("-", "chrome.exe - proxy.acme.org:5070 error : could not connect"),
        (
            "-",
            "350766 node-109 unix.hw state_change.unavailable 1795413601 1 component in error state",
        ),
        ("-", "the error log is empty"),
        ("-", "350766 node-109 ERROR somewhere in a line without a stamp"),
        ("-", "an error: not at the head"),
        ("-", "ALERT exited abnormally with [1]"),
        ("-", "10.0.0.1 GET /ERROR HTTP/1.1"),
        ("-", "2026-11-23 06:00:01 errors=3 in total: ERROR"),
        ("-", "    at com.acme.ERROR.run(Main.java:3)"),
        ("-", "\tat com.acme.Error: x"),
        ("-", "Fine weather today"),
        ("-", "System is going down"),
        ("-", "information wants to be free"),
        ("-", "[error page] served"),
        ("-", "{\"not\": \"parsed"),
        ("-", ""),
        ("-", "   "),
    ]);
}

#[test]
fn the_message_begins_behind_stamp_level_thread_and_logger() {
    for (line, want) in [
        (
            "2026-11-23 06:00:01,123 ERROR [main] com.acme.Checkout - payment refused",
            "payment refused",
        ),
        ("2026-11-23T06:00:01.1Z  INFO acme::db: connected", "connected"),
        (
            "[Mon Nov 23 06:00:01 2026] [core:error] [pid 1:tid 2] [client ::1:5] no such file",
            "no such file",
        ),
        (
            "2026/11/23 06:00:01 [error] 12#12: *3 open() failed",
            "*3 open() failed",
        ),
        ("2026-11-23 06:00:01.378 UTC [26241] LOG:  starting", "starting"),
        ("E1123 06:00:01.123456   99 main.go:12] refused", "refused"),
        ("2026/11/23 06:00:01 http: server closed", "http: server closed"),
        (
            "11-23 06:00:01.123 E/AndroidRuntime(99): FATAL EXCEPTION: main",
            "FATAL EXCEPTION: main",
        ),
        (
            "11-23 06:00:01.123  1702  8671 E Runtime : \tat a.b(C.java:1)",
            "at a.b(C.java:1)",
        ),
        ("[2026-11-23 06:00:01] local.ERROR: refused", "refused"),
        (
            "10.1.2.3 - - [23/Nov/2026:06:00:01 +0000] \"GET / HTTP/1.1\" 200",
            "10.1.2.3 - - [23/Nov/2026:06:00:01 +0000] \"GET / HTTP/1.1\" 200",
        ),
        ("ERROR: refused", "refused"),
        (
            "E, [2026-11-23T06:00:01.123456 #99] ERROR -- : undefined method",
            "undefined method",
        ),
        ("no head at all", "no head at all"),
    ] {
        assert_eq!(message(line), want, "{line}");
    }
}

#[test]
fn stamps_make_a_line_a_head_and_indented_frames_do_not() {
    for line in [
        "2026-11-23 06:00:01 x",
        "Nov 23 06:00:01 host x",
        "[23/Nov/2026:06:00:01 +0000] x",
        "W/Tag: x",
    ] {
        assert!(scan(line.as_bytes()).headed, "{line}");
    }
    for line in [
        "    at a.b(C.java:1)",
        "Caused by: x",
        "[   12.345] BUG: unable",
        "  File \"a.py\", line 3",
        "goroutine 1 [running]:",
    ] {
        assert!(!scan(line.as_bytes()).headed, "{line}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_scanned_without_a_panic(
        any in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        near in "[\\[\\]<>(){}|:, =\\-#%\x1bEIWDa-fNov0-9/.T]{0,60}",
        prefix in "(E|I,? ?\\[|=ERROR REPORT==== |####<|PHP |npm |kern :|%A-3-B|W/|2026-11-23 06:00:01 )?",
    ) {
        for text in [any.clone(), near.clone().into_bytes(), [prefix.as_bytes(), near.as_bytes()].concat(), [prefix.as_bytes(), &any].concat()] {
            let header = scan(&text);
            assert!(header.len <= text.len(), "{header:?}");
        }
    }
}

#[test]
fn what_spring_boot_puts_before_a_message_is_no_part_of_it() {
    let line =
        "2026-11-23 06:00:01.120  WARN 2217 --- [http-nio-8443-exec-1] c.e.shop.catalog.Search       : slow search";
    let settings = crate::record::Settings::default();
    let reader = crate::record::format::LineReader::new(&settings, "");
    let details = reader.details(line.as_bytes(), line.as_bytes(), jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(details.message, "slow search");
}
