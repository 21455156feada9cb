//! Why a component is not trusted.

use crate::key_id::KeyId;
use crate::signature::SignatureError;

/// Why a component is not trusted. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It has no signature.
    #[error(
        "it has no signature, and needs one by {trusted}: sign it with `portcullis plugin sign`, and put the signature beside its file"
    )]
    Unsigned {
        /// The trusted keys.
        trusted: String,
    },
    /// Its signature can't be read.
    #[error(transparent)]
    Unreadable(#[from] SignatureError),
    /// The signature is in minisign's old format, over the bytes themselves.
    #[error("its signature by the key {key} is in minisign's old format: sign it again without -l")]
    Legacy {
        /// The key.
        key: KeyId,
    },
    /// The key that signed it is not trusted.
    #[error(
        "it is signed with the key {key}, and needs a signature by {trusted}: get it from somebody who has one of these, or add the key \
         to trusted_keys if you trust its owner"
    )]
    Stranger {
        /// The key.
        key: KeyId,
        /// The trusted keys.
        trusted: String,
    },
    /// The signature is of other bytes, or was changed.
    #[error(
        "its signature by {key} is of other bytes: the component or the signature was changed since it was signed, so get both from their \
         author again"
    )]
    Tampered {
        /// The key.
        key: String,
    },
    /// The key admits nothing new any more.
    #[error(
        "it is signed by {key}, which admits nothing new after {not_after}: have it signed with a key that is in force"
    )]
    Expired {
        /// The key.
        key: String,
        /// The last day or moment at which it did.
        not_after: String,
    },
}
