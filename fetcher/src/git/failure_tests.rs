use super::*;

const CHANGED: &[u8] = b"@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r
Someone could be eavesdropping on you right now (man-in-the-middle attack)!\r
It is also possible that a host key has just been changed.\r
The fingerprint for the ED25519 key sent by the remote host is\n\
SHA256:CWCGvpJQ2TpFqiyGhvTuWmGYLhGxh9Ilq1t9WbnQnnY.\r
Please contact your system administrator.\r
Add correct host key in /etc/pp-fetcher/known_hosts to get rid of this message.\r
Offending ED25519 key in /etc/pp-fetcher/known_hosts:3\r
  remove with:\r
Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.\r
Host key verification failed.\r
";

#[test]
fn rule_24_a_changed_host_key_is_a_kind_of_its_own_with_the_facts() {
    let Failure::HostKeyChanged(key) = classify(true, CHANGED, Some(255)) else {
        panic!("not seen as changed");
    };
    assert_eq!(key.kind.as_deref(), Some("ED25519"));
    let offered = "SHA256:CWCGvpJQ2TpFqiyGhvTuWmGYLhGxh9Ilq1t9WbnQnnY";
    assert_eq!(key.offered.as_deref(), Some(offered));
    assert_eq!(key.line, Some(("/etc/pp-fetcher/known_hosts".into(), 3)));
}

#[test]
fn a_server_cannot_pretend_that_its_host_key_has_changed() {
    assert_eq!(classify(true, CHANGED, Some(128)), Failure::Other);
    assert_eq!(classify(false, CHANGED, Some(255)), Failure::Other);
}

#[test]
fn each_text_of_ssh_and_git_has_its_kind() {
    use Failure::{
        Denied, HostKeyUnknown, JumpKeyUnknown, NoRepository, NotOwned, Other, Unreachable,
        Unresolved,
    };
    for (said, code, kind) in [
        (
            "No ED25519 host key is known for [127.0.0.1]:22 and you have requested strict checking.\r\nHost key verification failed.\r\n",
            255,
            HostKeyUnknown,
        ),
        (
            "Host key verification failed.\r\nkex_exchange_identification: Connection closed by remote host\r\n",
            255,
            JumpKeyUnknown,
        ),
        (
            "Host key verification failed.\r\nConnection closed by UNKNOWN port 65535\r\n",
            255,
            JumpKeyUnknown,
        ),
        (
            "git@github.com: Permission denied (publickey).\r\n",
            255,
            Denied,
        ),
        (
            "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\r\n",
            255,
            Denied,
        ),
        (
            "ssh: Could not resolve hostname nowhere: Name or service not known\r\n",
            255,
            Unresolved,
        ),
        (
            "ssh: connect to host 127.0.0.1 port 1: Connection refused\r\n",
            255,
            Unreachable,
        ),
        (
            "Timeout, server 10.0.0.1 not responding.\r\n",
            255,
            Unreachable,
        ),
        (
            "kex_exchange_identification: Connection closed by remote host\r\n",
            255,
            Unreachable,
        ),
        ("ERROR: Repository not found.\n", 1, NoRepository),
        (
            "fatal: '/srv/x.git' does not appear to be a git repository\n",
            128,
            NoRepository,
        ),
        (
            "fatal: detected dubious ownership in repository at '/srv/x.git'\n",
            128,
            NotOwned,
        ),
        ("sh: 1: git-upload-pack: not found\n", 127, Other),
        ("", 0, Other),
    ] {
        assert_eq!(classify(true, said.as_bytes(), Some(code)), kind, "{said}");
    }
}
