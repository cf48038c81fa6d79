import TestSupport

/// An operator of the tests alone.
typealias ReLU = TestSupport.ReLU
