// SPDX-License-Identifier: MIT
import CZstd

/// The error codes of libzstd that are told apart here.
///
/// `zstd_errors.h` promises these numbers since v1.3.1; a function returns them negated, as a `size_t`.
enum ZstdFailure {
    /// `ZSTD_error_memory_allocation`.
    static let outOfMemory = 64
    /// `ZSTD_error_dstSize_tooSmall`.
    static let outputTooSmall = 70

    /// The code in a function's `result`, or nil if that is a success.
    static func code(of result: Int) -> Int? {
        ZSTD_isError(result) == 0 ? nil : 0 &- result
    }

    /// The library's own words for a failed `result`.
    static func reason(of result: Int) -> String {
        unsafe String(cString: ZSTD_getErrorName(result))
    }
}
