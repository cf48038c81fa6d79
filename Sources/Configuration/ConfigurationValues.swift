import Models
import Operators
import Schema
import Yams

extension BackboneKind: ConfigurationChoice {}
extension HeadKind: ConfigurationChoice {}
extension ModelPrecision: ConfigurationChoice {}
extension RegulariserForm: ConfigurationChoice {}
extension CostForm: ConfigurationChoice {}
