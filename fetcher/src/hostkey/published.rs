//! The fingerprints of host keys that the large forges publish. They stand here so that a key which such a forge
//! offers need not be compared by hand: a person would compare it with the same page.
//!
//! A forge that changes its keys makes an entry useless, never wrong: a key that is not here has to be named by a
//! person, as with every other server.

/// A forge, and the keys that it has published.
#[derive(Debug)]
pub(crate) struct PublishedKeys {
    /// The name by which ssh reaches the forge.
    pub host: &'static str,
    /// The page of the forge that lists the fingerprints.
    pub page: &'static str,
    /// The fingerprints: Ed25519, ECDSA, RSA.
    pub fingerprints: [&'static str; 3],
}

/// The day on which the fingerprints below were last compared with several copies of those pages.
pub(crate) const COMPARED_ON: &str = "2026-11-27";

const FORGES: &[PublishedKeys] = &[
    PublishedKeys {
        host: "github.com",
        page: "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints",
        fingerprints: [
            "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
            "SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
            "SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
        ],
    },
    PublishedKeys {
        host: "gitlab.com",
        page: "https://docs.gitlab.com/user/gitlab_com/#ssh-host-keys-fingerprints",
        fingerprints: [
            "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
            "SHA256:HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw",
            "SHA256:ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ",
        ],
    },
    PublishedKeys {
        host: "codeberg.org",
        page: "https://docs.codeberg.org/security/ssh-fingerprint/",
        fingerprints: [
            "SHA256:mIlxA9k46MmM6qdJOdMnAQpzGxF4WIVVL+fj+wZbw0g",
            "SHA256:T9FYDEHELhVkulEKKwge5aVhVTbqCW0MIRwAfpARs/E",
            "SHA256:6QQmYi4ppFS4/+zSZ5S4IU+4sa6rwvQ4PbhCtPEBekQ",
        ],
    },
    PublishedKeys {
        host: "bitbucket.org",
        page: "https://support.atlassian.com/bitbucket-cloud/docs/configure-ssh-and-two-step-verification/",
        fingerprints: [
            "SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
            "SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0",
            "SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E",
        ],
    },
];

/// Names under which these forges answer on port 443, with the same keys.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
];

/// Gives what the forge of the name `host` has published; `None` for every other server.
#[must_use]
pub(crate) fn of_host(host: &str) -> Option<&'static PublishedKeys> {
    let host = host.to_ascii_lowercase();
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == host);
    let host = other.map_or(host.as_str(), |(_, forge)| forge);
    FORGES.iter().find(|forge| forge.host == host)
}

/// Gives the forge's own name where `host` is an alias of it in ssh_config(5), such as `github.com-repo-todo`.
#[must_use]
pub(crate) fn forge_of_alias(host: &str) -> Option<&'static str> {
    let mut names = FORGES.iter().map(|forge| forge.host);
    names.find(|name| host.starts_with(&format!("{name}-")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostkey::known::fingerprint;

    #[test]
    fn a_fingerprint_is_that_of_the_key_which_the_forge_publishes_beside_it() {
        // The keys as the pages above and https://api.github.com/meta have them.
        let keys = [
            (
                "github.com",
                "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
            ),
            (
                "gitlab.com",
                "AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf",
            ),
            (
                "codeberg.org",
                "AAAAC3NzaC1lZDI1NTE5AAAAIIVIC02vnjFyL+I4RHfvIGNtOgJMe769VTF1VR4EB3ZB",
            ),
        ];
        for (host, key) in keys {
            let published = of_host(host).unwrap();
            assert_eq!(fingerprint(key).as_deref(), Some(published.fingerprints[0]));
        }
    }

    #[test]
    fn a_name_that_only_looks_like_a_forges_is_nobodys() {
        assert!(of_host("GitHub.com").is_some());
        assert!(of_host("ssh.github.com").is_some());
        assert!(of_host("github.com.example.org").is_none());
        assert!(of_host("forge.example.org").is_none());
    }
}
