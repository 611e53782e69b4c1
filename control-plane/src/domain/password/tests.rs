//! The laws of passwords. Few cases where one is hashed: each takes its time.

use super::*;
use std::time::{Duration, Instant};

fn entropy(fill: u8) -> Entropy {
    Entropy::from_fn(move |bytes| {
        bytes.fill(fill);
        Ok(())
    })
}

fn password(text: &str) -> Password {
    Password::present(text.to_owned()).unwrap()
}

#[test]
fn a_password_is_12_to_256_characters_of_any_sort() {
    let choose = |text: &str| Password::choose(text.to_owned(), "alice").map(|_| ());
    let long = "키".repeat(256);
    for text in ["            ", "aaaaaaaaaaaa", "correct horse", "пароль пароль", &long] {
        assert_eq!(choose(text), Ok(()), "{text}");
    }
    assert_eq!(choose(""), Err(PasswordError::Short));
    assert_eq!(choose("elevenchars"), Err(PasswordError::Short));
    assert_eq!(choose("키키키키키키키키키키키"), Err(PasswordError::Short), "characters count, not bytes");
    assert_eq!(choose(&"x".repeat(257)), Err(PasswordError::Long));
    assert!(Password::present("short".to_owned()).is_ok());
    assert!(matches!(Password::present("x".repeat(257)), Err(PasswordError::Long)));
}

#[test]
fn the_users_own_name_does_not_count() {
    let choose = |text: &str, name: &str| Password::choose(text.to_owned(), name).map(|_| ());
    for text in ["alicealicealice", "Alice1234567", "ALICE-ÄÖÜ-alice"] {
        assert_eq!(choose(text, "aLiCe"), Err(PasswordError::Name), "{text}");
    }
    assert_eq!(choose("ops-team@example.org", "Ops-Team@Example.org"), Err(PasswordError::Name));
    assert_eq!(choose("alice has a white rabbit", "alice"), Ok(()));
    assert_eq!(choose("aaaaaaaaaaaaa", "a"), Ok(()), "a short name is within too many passwords");
    assert_eq!(choose("correct horse", ""), Ok(()));
}

#[test]
fn a_hash_verifies_its_password_and_no_other_and_survives_its_text() {
    let hash = hash(&password("correct horse"), &entropy(7)).unwrap();
    let text = hash.to_phc();
    assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"), "{text}");
    let stored = PasswordHash::parse(&text).unwrap();
    assert_eq!(stored, hash);
    assert!(verify(&password("correct horse"), Some(&stored)));
    for wrong in ["correct horsf", "correct horse ", ""] {
        assert!(!verify(&password(wrong), Some(&stored)), "{wrong}");
    }
    assert!(!verify(&password("correct horse"), None));
}

#[test]
fn equal_passwords_have_different_hashes_and_an_empty_generator_has_none() {
    let hashed = |fill| hash(&password("correct horse"), &entropy(fill)).unwrap();
    assert_ne!(hashed(1), hashed(2));
    let empty = Entropy::from_fn(|_| Err(EntropyError));
    assert_eq!(hash(&password("correct horse"), &empty), Err(HashError::Entropy(EntropyError)));
}

#[test]
fn a_hash_of_the_reference_implementation_with_other_parameters_verifies() {
    // Made by the reference implementation: echo -n password | argon2 somesalt -id -v 13 -t 1 -k 1024 -p 2 -l 24.
    let text = "$argon2id$v=19$m=1024,t=1,p=2$c29tZXNhbHQ$r84Zl4uSjwwIa4EtKSr99NUggP3GRuwu";
    let hash = PasswordHash::parse(text).unwrap();
    assert!(verify(&password("password"), Some(&hash)));
    assert!(!verify(&password("Password"), Some(&hash)));
}

#[test]
fn anything_else_is_no_hash() {
    let texts = [
        "",
        "hunter2",
        "$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw",
        "$argon2i$v=19$m=1024,t=1,p=2$c29tZXNhbHQ$pfN8TCkckNMUz8weW0oi98WcRzfVNx30",
        "$argon2id$v=19$m=1,t=0,p=2$c29tZXNhbHQ$r84Zl4uSjwwIa4EtKSr99NUggP3GRuwu",
        "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
    ];
    for text in texts {
        assert_eq!(PasswordHash::parse(text), Err(PasswordHashError), "{text}");
    }
}

#[test]
fn debug_shows_neither_password_nor_hash() {
    let password = password("correct horse");
    let shown = format!("{password:?} {:?}", hash(&password, &entropy(1)).unwrap());
    assert_eq!(shown, "Password PasswordHash");
}

#[test]
fn a_user_that_does_not_exist_costs_as_much_as_one_that_does() {
    let stored = hash(&password("correct horse"), &entropy(7)).unwrap();
    // The fastest of several is what the computation takes; the rest is what else the machine did.
    let fastest = |hash: Option<&PasswordHash>| {
        let runs = (0..5).map(|_| {
            let start = Instant::now();
            assert!(!verify(&password("wrong horse!"), hash));
            start.elapsed()
        });
        runs.min().unwrap_or(Duration::ZERO)
    };
    let (known, unknown) = (fastest(Some(&stored)), fastest(None));
    println!("verification: {known:?} for a user, {unknown:?} for none");
    assert!(known < unknown * 2 && unknown < known * 2, "{known:?} {unknown:?}");
}
