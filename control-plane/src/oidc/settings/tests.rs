//! Which settings are taken.

use super::*;

fn texts() -> Texts {
    Texts {
        issuer: Some("https://accounts.example.com/realms/acme".to_owned()),
        client_id: Some("portcullis".to_owned()),
        client_secret: Some("correct horse".into()),
        claim: "email".to_owned(),
        label: "Single sign-on".to_owned(),
    }
}

fn read(change: impl FnOnce(&mut Texts)) -> Result<Option<Settings>, SettingsError> {
    let mut texts = texts();
    change(&mut texts);
    Settings::read(texts, Some(&"https://keys.example.com".parse().unwrap()))
}

#[test]
fn a_provider_is_an_address_and_a_client_of_it() {
    let settings = read(|_| ()).unwrap().unwrap();
    assert_eq!(settings.issuer.as_str(), "https://accounts.example.com/realms/acme");
    assert_eq!(settings.client_secret.unwrap().reveal(), "correct horse");
    assert_eq!(read(|texts| texts.client_secret = None).unwrap().unwrap().client_secret, None);
}

#[test]
fn nothing_set_is_no_provider_and_half_of_it_is_an_error() {
    let nothing = Texts { issuer: None, client_id: None, client_secret: None, ..texts() };
    assert_eq!(Settings::read(nothing, None), Ok(None));
    assert_eq!(Settings::read(texts(), None), Err(SettingsError::PublicUrl));
    let halves: [fn(&mut Texts); 3] = [
        |texts| texts.issuer = None,
        |texts| texts.client_id = None,
        |texts| (texts.issuer, texts.client_id) = (None, None),
    ];
    for half in halves {
        assert_eq!(read(half), Err(SettingsError::Incomplete));
    }
}

#[test]
fn a_provider_is_reached_by_tls_or_on_this_machine() {
    for issuer in ["http://127.0.0.1:9400", "http://[::1]:9400", "http://localhost:9400", "https://localhost"] {
        assert!(read(|texts| texts.issuer = Some(issuer.to_owned())).is_ok(), "{issuer}");
    }
    for issuer in [
        "",
        "accounts.example.com",
        "http://accounts.example.com",
        "http://localhost.example.com",
        "ftp://127.0.0.1",
        "https://ada:hunter2@accounts.example.com",
        "https://accounts.example.com?tenant=hunter2",
        "https://accounts.example.com#hunter2",
    ] {
        let error = read(|texts| texts.issuer = Some(issuer.to_owned())).unwrap_err();
        assert_eq!(error, SettingsError::Issuer, "{issuer}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn a_secret_is_neither_shown_nor_repeated() {
    let settings = read(|_| ()).unwrap().unwrap();
    assert!(!format!("{settings:?}").contains("horse"));
    for secret in ["", "hunter2\n", "hünter2", &"x".repeat(513)] {
        let error = read(|texts| texts.client_secret = Some(secret.into())).unwrap_err();
        assert_eq!(error, SettingsError::ClientSecret);
        assert!(secret.is_empty() || !error.to_string().contains(secret));
    }
}

#[test]
fn other_texts_are_bounded() {
    assert_eq!(read(|texts| texts.client_id = Some(String::new())), Err(SettingsError::ClientId));
    for claim in ["", "an email", "e\0mail"] {
        assert_eq!(read(|texts| texts.claim = claim.to_owned()), Err(SettingsError::Claim));
    }
    for label in ["", "  ", "a\nb", &"x".repeat(61)] {
        assert_eq!(read(|texts| texts.label = label.to_owned()), Err(SettingsError::Label));
    }
    assert_eq!(read(|texts| texts.label = " Acme ID ".to_owned()).unwrap().unwrap().label, "Acme ID");
}
