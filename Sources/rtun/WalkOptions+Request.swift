// SPDX-License-Identifier: MIT

import Archive
import ArgumentParser
import Transfer

extension WalkOptions {
    /// What a request leaves out, and how it treats links.
    init(_ request: SendRequest) throws {
        self.init()
        copiesLinks = request.copiesLinks
        skipsLinks = request.skipsLinks
        var excluded: [PathPattern] = []
        var included: [PathPattern] = []
        do {
            excluded = try request.excludes.map { try PathPattern($0) }
            included = try request.includes.map { try PathPattern($0) }
            for contents in request.excludeFiles {
                excluded += try PathPattern.patterns(inLines: String(decoding: contents, as: UTF8.self))
            }
        } catch let error as PatternError {
            throw ValidationError(safe(error.description))
        }
        let filter = PathFilter(excluding: excluded, including: included)
        self.filter = filter.isEmpty ? nil : filter
    }
}
