// SPDX-License-Identifier: MIT

internal import SystemPackage

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The one gate to the system: every call of this target that can fail passes through here.
///
/// It repeats a call that a signal interrupted (EINTR), and reads `errno` before anything else can change it.
enum SystemCall {
    /// Runs a call that returns -1 on failure, again while it is interrupted.
    static func attempt<Value: FixedWidthInteger & SignedInteger>(_ body: () -> Value) -> Result<Value, Errno> {
        while true {
            let value = body()
            if value != -1 {
                return .success(value)
            }
            let failure = lastError
            if failure != .interrupted {
                return .failure(failure)
            }
        }
    }

    /// Runs a call as `attempt` does, and throws its failure as the sentence "cannot `action` `name`".
    @discardableResult
    static func run<Value: FixedWidthInteger & SignedInteger>(
        _ call: String,
        to action: String,
        name: String? = nil,
        _ body: () -> Value
    ) throws(SystemError) -> Value {
        switch attempt(body) {
        case .success(let value): return value
        case .failure(let errno): throw SystemError(errno: errno, call: call, name: name, action: action)
        }
    }

    /// Runs a call that takes a path, which must not be empty or hold NUL.
    @safe @discardableResult
    static func run<Value: FixedWidthInteger & SignedInteger>(
        _ call: String,
        to action: String,
        path: String,
        _ body: (UnsafePointer<CChar>) -> Value
    ) throws(SystemError) -> Value {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw SystemError(
                errno: .invalidArgument,
                call: call,
                name: path,
                action: action,
                reason: "a path is not empty and holds no NUL"
            )
        }
        let outcome: Result<Value, Errno> = unsafe path.withCString { pointer in
            attempt { unsafe body(pointer) }
        }
        switch outcome {
        case .success(let value): return value
        case .failure(let errno): throw SystemError(errno: errno, call: call, name: path, action: action)
        }
    }

    /// The error number that the last failed call of this thread left.
    static var lastError: Errno {
        #if canImport(Darwin)
        Errno(rawValue: Darwin.errno)
        #elseif canImport(Glibc)
        Errno(rawValue: Glibc.errno)
        #elseif canImport(Musl)
        Errno(rawValue: Musl.errno)
        #endif
    }
}

extension Errno {
    /// Whether the kernel or the file system said that it does not know the call or its flags.
    ///
    /// EINVAL is among them, because file systems answer flags that they do not know with it.
    var meansUnsupported: Bool {
        switch self {
        case .noFunction, .notSupported, .notSupportedOnSocket, .inappropriateIOCTLForDevice, .invalidArgument: true
        default: false
        }
    }
}
