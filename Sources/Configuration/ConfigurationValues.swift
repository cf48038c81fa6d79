import AdaShareModels
import AdaShareOperators
import AdaShareSchema
import Yams

extension BackboneKind: ConfigurationChoice {}
extension HeadKind: ConfigurationChoice {}
extension ModelPrecision: ConfigurationChoice {}
extension RegulariserForm: ConfigurationChoice {}
extension CostForm: ConfigurationChoice {}
