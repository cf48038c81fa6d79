internal import CAdaShareOpenCL

/// Turns an OpenCL status into an error; every call that returns one passes through here.
///
/// - Throws: `DeviceError` unless `status` is `CL_SUCCESS`.
func check(
    _ status: cl_int, _ call: String, device: @autoclosure () -> Device? = nil, kernel: String? = nil,
    detail: @autoclosure () -> String? = nil
) throws(DeviceError) {
    guard status != CL_SUCCESS else { return }
    DeviceFaults.all.note(status, call)
    throw DeviceError(call: call, code: status, kernel: kernel, device: device()?.name, detail: detail())
}

/// Makes an OpenCL object and checks the status its constructor leaves behind.
///
/// - Throws: `DeviceError` if the call fails or answers success without an object.
func create(
    _ call: String, device: @autoclosure () -> Device? = nil, kernel: String? = nil,
    detail: @autoclosure () -> String? = nil, _ body: (UnsafeMutablePointer<cl_int>) -> OpaquePointer?
) throws(DeviceError) -> OpaquePointer {
    var status: cl_int = CL_SUCCESS
    let object = body(&status)
    try check(status, call, device: device(), kernel: kernel, detail: detail())
    guard let object else {
        throw DeviceError(
            call: call, code: CL_OUT_OF_HOST_MEMORY, kernel: kernel, device: device()?.name,
            detail: "no object came back"
        )
    }
    return object
}

/// Checks a release, which happens in `deinit` and so cannot throw.
///
/// A failing release means the handle was already dead: a defect in this module, never the user's. On a device that has
/// failed releases may fail as everything does, and the first error is the one to tell.
func checkRelease(_ status: cl_int, _ call: StaticString) {
    assert(status == CL_SUCCESS || DeviceFaults.all.isAny, "\(call) returned \(status)")
}

/// Reads a variable-length list of elements in OpenCL's two-call manner: the size in bytes, then the contents.
///
/// - Throws: `DeviceError` if either call fails.
func queryArray<Element: BitwiseCopyable>(
    of zero: Element, _ call: String, device: Device? = nil,
    _ body: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int
) throws(DeviceError) -> [Element] {
    var byteCount = 0
    try check(body(0, nil, &byteCount), call, device: device)
    guard byteCount > 0 else { return [] }
    var elements = [Element](repeating: zero, count: byteCount / MemoryLayout<Element>.stride)
    let status = elements.withUnsafeMutableBytes { body($0.count, $0.baseAddress, nil) }
    try check(status, call, device: device)
    return elements
}

/// Reads a string property, without its terminating zero and surrounding blanks.
///
/// - Throws: `DeviceError` if the query fails.
func queryString(
    _ call: String, device: Device? = nil,
    _ body: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int
) throws(DeviceError) -> String {
    let bytes = try queryArray(of: UInt8(0), call, device: device, body)
    let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    let kept = text.drop { $0.isWhitespace }
    return String(kept.reversed().drop { $0.isWhitespace }.reversed())
}

/// Reads a property of fixed size.
///
/// - Throws: `DeviceError` if the query fails.
func queryScalar<Value: BitwiseCopyable>(
    _ initial: Value, _ call: String, device: Device? = nil, kernel: String? = nil,
    _ body: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int
) throws(DeviceError) -> Value {
    var value = initial
    let status = withUnsafeMutableBytes(of: &value) { body($0.count, $0.baseAddress, nil) }
    try check(status, call, device: device, kernel: kernel)
    return value
}
