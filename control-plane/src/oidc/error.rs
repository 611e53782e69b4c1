//! Why somebody could not be signed in, in a sentence that can be shown to them.

/// Why not. The text is for the person at the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer, or not in time.
    #[error("The sign-in provider cannot be reached at the moment. Try again later, or sign in another way.")]
    Away,
    /// The provider answers with something that is not what OpenID Connect asks for.
    #[error("The sign-in provider gave an answer that cannot be used. An operator finds more in the log.")]
    Unusable,
    /// The answer does not belong to a sign-in that this browser began (OpenID Connect Core 1.0, section 3.1.2.7).
    #[error("This sign-in was not begun in this browser, or too long ago. Begin again.")]
    State,
    /// The answer is not from the provider that was asked (RFC 9207, section 2.4).
    #[error("The answer came from another sign-in provider than the one that was asked. Begin again.")]
    Issuer,
    /// The provider has not signed the person in (OpenID Connect Core 1.0, section 3.1.2.6).
    #[error("The sign-in provider did not sign you in.")]
    Declined,
    /// The provider does not take the code: it is used up or too old (RFC 6749, section 5.2, `invalid_grant`).
    #[error("This sign-in took too long, or was finished already. Begin again.")]
    Code,
    /// The provider does not take this deployment for its client (RFC 6749, section 5.2).
    #[error("The sign-in provider does not accept this console. An operator finds more in the log.")]
    Client,
    /// The ID token is not one for this sign-in.
    #[error("What the sign-in provider says about you cannot be accepted: {0}. Begin again.")]
    Token(TokenFault),
    /// The ID token does not hold the claim that is the user's name here, or it is no name.
    #[error("The sign-in provider did not say by which name you are known here. Ask an operator.")]
    Claim,
    /// The ID token holds an address that the provider has not verified to be theirs.
    #[error("The sign-in provider has not verified your email address. Verify it there, and begin again.")]
    EmailUnverified,
    /// Nothing unpredictable is to be had.
    #[error("Something is wrong here. Try again later.")]
    Entropy,
}

/// What is wrong with an ID token (OpenID Connect Core 1.0, section 3.1.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is not signed by the provider, with a public key.
    #[error("its signature is not the provider's")]
    Signature,
    /// It is of another issuer.
    #[error("it is from another provider")]
    Issuer,
    /// It was made for another client, or for others besides.
    #[error("it is meant for another service")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It was made for another sign-in.
    #[error("it belongs to another sign-in")]
    Nonce,
    /// It is of a kind that is not supported, such as an encrypted one.
    #[error("it is of an unknown kind")]
    Kind,
}
