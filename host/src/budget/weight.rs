//! How much a component creates when it is instantiated.

use wasmparser::{
    ComponentAlias, ComponentAliasSectionReader, ComponentExportSectionReader, ComponentExternalKind,
    ComponentImportSectionReader, ComponentInstance, ComponentInstanceSectionReader, ComponentOuterAliasKind,
    ComponentTypeRef,
};

use super::damaged;
use crate::invalid_component::InvalidComponent;

/// What instantiating a component once creates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Instances, with those that they create in turn.
    pub(super) instances: u64,
    /// Calls from one component to another.
    pub(super) calls: u64,
}

/// The weight of a component, unless it is chosen from outside.
pub(super) type Known = Option<Weight>;

/// The components that a component can instantiate, and what it has instantiated so far.
#[derive(Default)]
pub(super) struct Shape {
    /// The index space of components.
    components: Vec<Known>,
    weight: Weight,
}

impl Shape {
    pub(super) fn weight(&self) -> Weight {
        self.weight
    }

    /// A component by its index.
    pub(super) fn component(&self, index: u32) -> Known {
        self.components.get(index as usize).copied().flatten()
    }

    /// A component is defined inside.
    pub(super) fn define(&mut self, weight: Weight) {
        self.components.push(Some(weight));
    }

    pub(super) fn create(&mut self, instances: u64) {
        self.weight.instances = self.weight.instances.saturating_add(instances);
    }

    pub(super) fn call(&mut self, calls: u64) {
        self.weight.calls = self.weight.calls.saturating_add(calls);
    }

    /// Adds what is instantiated. Two components that each instantiate another one twice create four instances of that.
    pub(super) fn instantiate(
        &mut self,
        section: ComponentInstanceSectionReader<'_>,
    ) -> Result<(), InvalidComponent> {
        for instance in section {
            self.create(1);
            if let ComponentInstance::Instantiate { component_index, .. } = instance.map_err(damaged)? {
                let inner = self.component(component_index).ok_or(InvalidComponent::Opaque)?;
                self.create(inner.instances);
                self.call(inner.calls);
            }
        }
        Ok(())
    }

    /// `outer` has the components of those around this one: so many levels up, by index.
    pub(super) fn alias(
        &mut self,
        section: ComponentAliasSectionReader<'_>,
        outer: impl Fn(u32, u32) -> Known,
    ) -> Result<(), InvalidComponent> {
        for alias in section {
            match alias.map_err(damaged)? {
                ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                    let component = if count == 0 { self.component(index) } else { outer(count, index) };
                    self.components.push(component);
                }
                ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                    self.components.push(None);
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn import(
        &mut self,
        section: ComponentImportSectionReader<'_>,
    ) -> Result<(), InvalidComponent> {
        for import in section {
            if let ComponentTypeRef::Component(_) = import.map_err(damaged)?.ty {
                self.components.push(None);
            }
        }
        Ok(())
    }

    /// What is exported has another index from there on.
    pub(super) fn export(
        &mut self,
        section: ComponentExportSectionReader<'_>,
    ) -> Result<(), InvalidComponent> {
        for export in section {
            let export = export.map_err(damaged)?;
            if export.kind == ComponentExternalKind::Component {
                self.components.push(self.component(export.index));
            }
        }
        Ok(())
    }
}
