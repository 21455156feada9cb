//! What plugins are used as: a newer version must be that, too.

use portcullis_host::Component;

use crate::error::PluginStoreError;
use crate::store::PluginStore;

/// Says as what the versions of a name serve.
pub(super) type Users = Box<dyn Fn(&str) -> Uses + Send + Sync>;

/// As what the versions of a name serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// They answer for lists.
    pub lists: bool,
    /// They decide about messages.
    pub rules: bool,
}

impl Uses {
    fn of(component: &Component) -> Self {
        Uses { lists: component.list().is_some(), rules: component.rules().is_some() }
    }
}

impl PluginStore {
    /// Has `users` say as what the versions of a name serve now. From then on a component that can't take their place is refused: it becomes
    /// no version. It is called while the store is in use, and must not use the store. Only the first call counts.
    pub fn set_users(&self, users: impl Fn(&str) -> Uses + Send + Sync + 'static) {
        let _ = self.users.set(Box::new(users));
    }

    /// Refuses a component that is not what versions of its name serve as, or what the built-in plugin of its name is.
    pub(super) fn check_kind(&self, name: &str, component: &Component) -> Result<(), PluginStoreError> {
        let is = Uses::of(component);
        let refuse = |needed: Uses, why: &'static str| {
            let kind = if needed.lists && !is.lists {
                "list plugin"
            } else if needed.rules && !is.rules {
                "rules plugin"
            } else {
                return Ok(());
            };
            Err(PluginStoreError::OtherKind { name: name.to_owned(), kind, why })
        };
        if let Some(built_in) = self.built_in(name) {
            // One that does not load here serves nobody.
            let loaded = self.compiled.load(name, built_in.digest, built_in.component);
            refuse(loaded.map(|loaded| Uses::of(&loaded)).unwrap_or_default(), "it is built in as one")?;
        }
        let users = self.users.get().map(|users| users(name)).unwrap_or_default();
        refuse(users, "tenants are served by it as one")
    }
}
