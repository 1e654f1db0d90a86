// SPDX-License-Identifier: MIT

/// A glob that names entries below the folder being sent, as `--exclude`, `--include` and `--exclude-from` take it.
///
/// The rules are those of a gitignore line, without negation:
/// - Without `/` the pattern matches the name of an entry at any depth.
/// - With a leading or inner `/` it matches the whole path below the source root. The root's own name is not part of
///   that path: sending `results`, the folder `results/tmp` is `/tmp`.
/// - With a trailing `/` it matches folders only. This slash alone does not tie the pattern to the root.
/// - `*` is any run of scalars within a name, also an empty one, also before a leading dot; `?` is one scalar.
/// - `[a-z]` is one scalar of a set, `[!a-z]` or `[^a-z]` one that is not in it. A `]` that comes first is a member.
/// - `**` as a whole component is any number of folders, also none; at the end it is everything below, at least one
///   component. Elsewhere two stars are one.
/// - `\` takes the meaning from the scalar after it.
///
/// Names are compared scalar by scalar, with case and without normalisation. The time to match is at most the product
/// of the two lengths: each star is tried from its latest occurrence alone, so nothing grows exponentially.
package struct PathPattern: Sendable, Hashable {
    /// The pattern as it was given.
    package let text: String
    private let directoriesOnly: Bool
    private let shape: Shape

    /// What the entry is compared with.
    private enum Shape: Sendable, Hashable {
        /// The last component alone.
        case name(NameGlob)
        /// All components, from the root on.
        case path([Segment])
    }

    /// One component of an anchored pattern.
    private enum Segment: Sendable, Hashable {
        /// `**`: any number of components.
        case anyFolders
        case name(NameGlob)
    }

    /// Reads one pattern, as a command line gives it: `#` has no meaning here, and spaces count.
    ///
    /// - Throws: `PatternError` when the pattern is malformed or could never match anything.
    package init(_ text: String) throws(PatternError) {
        guard !text.unicodeScalars.isEmpty else { throw PatternError(.empty, pattern: text) }
        if text.utf8.first == UInt8(ascii: "!") || text.utf8.starts(with: "- ".utf8)
            || text.utf8.starts(with: "+ ".utf8)
        {
            throw PatternError(.negation, pattern: text)
        }
        var parts = Self.components(of: text)
        let directoriesOnly = parts.count > 1 && parts[parts.count - 1].isEmpty
        if directoriesOnly { parts.removeLast() }
        let isAnchored = parts.count > 1
        if parts.first?.isEmpty == true { parts.removeFirst() }
        // "./a" is "/a": people write it, and no entry is named ".".
        if isAnchored, parts.first?.elementsEqual(".".unicodeScalars) == true { parts.removeFirst() }
        guard !parts.isEmpty else { throw PatternError(.empty, pattern: text) }

        var segments: [Segment] = []
        for (position, part) in parts.enumerated() {
            if part.isEmpty || part.elementsEqual(".".unicodeScalars) || part.elementsEqual("..".unicodeScalars) {
                throw PatternError(.neverMatches, pattern: text)
            }
            guard part.elementsEqual("**".unicodeScalars) else {
                do throws(PatternError.Reason) {
                    segments.append(.name(try NameGlob(part)))
                } catch {
                    throw PatternError(error, pattern: text)
                }
                continue
            }
            if segments.last != .anyFolders { segments.append(.anyFolders) }
            if position == parts.count - 1 { segments.append(.name(.anything)) }
        }

        self.text = text
        self.directoriesOnly = directoriesOnly
        if case .name(let glob)? = segments.last,
            segments.count == 1 ? !isAnchored : segments.count == 2 && segments[0] == .anyFolders
        {
            shape = .name(glob)
        } else {
            shape = .path(segments)
        }
    }

    /// Reads the patterns of an `--exclude-from` file, one a line.
    ///
    /// Blank lines, and lines that begin with `#`, are ignored; `\#` begins a pattern with that sign. Spaces and tabs
    /// at the end of a line are dropped unless `\` precedes them, and so are carriage returns.
    /// - Throws: `PatternError` with the number of the first line that is no pattern.
    package static func patterns(inLines text: String) throws(PatternError) -> [PathPattern] {
        var patterns: [PathPattern] = []
        var number = 0
        var scalars = text.unicodeScalars[...]
        if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        for line in scalars.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            let content = withoutTrailingBlanks(line)
            if content.isEmpty || content.first == "#" { continue }
            do throws(PatternError) {
                patterns.append(try PathPattern(String(content)))
            } catch {
                throw PatternError(error.reason, pattern: error.pattern, line: number)
            }
        }
        return patterns
    }

    /// Whether the pattern names this entry itself; what lies below a folder that it names is left to the caller.
    ///
    /// - Parameters:
    ///   - components: The names from the source root down to the entry, without the root's own. Empty for the root,
    ///     which no pattern matches.
    ///   - isDirectory: Whether the entry is a folder. A symbolic link to one is not.
    /// - Returns: Whether the whole path or name, as the pattern asks, is one that it describes.
    package func matches(path components: [String], isDirectory: Bool) -> Bool {
        guard isDirectory || !directoriesOnly, let name = components.last else { return false }
        return switch shape {
        case .name(let glob): glob.matches(name)
        case .path(let segments): Self.matches(segments, components)
        }
    }

    /// Compares components with segments, going back to the latest `**` alone: an earlier one can gain nothing, since
    /// the segments between the two have already matched as far to the front as they can.
    private static func matches(_ segments: [Segment], _ components: [String]) -> Bool {
        var segment = 0
        var component = 0
        var retry: (segment: Int, component: Int)?
        while component < components.count {
            if segment < segments.count {
                switch segments[segment] {
                case .anyFolders:
                    segment += 1
                    retry = (segment, component)
                    continue
                case .name(let glob):
                    if glob.matches(components[component]) {
                        segment += 1
                        component += 1
                        continue
                    }
                }
            }
            guard let last = retry else { return false }
            retry = (last.segment, last.component + 1)
            segment = last.segment
            component = last.component + 1
        }
        // A pattern never ends in `.anyFolders`: a final `**` was read as any folders and any name.
        return segment == segments.count
    }

    /// Cuts at every slash: neither `\` nor a class can make one part of a name.
    private static func components(of text: String) -> [Substring.UnicodeScalarView] {
        text.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false)
    }

    private static func withoutTrailingBlanks(_ line: Substring.UnicodeScalarView) -> Substring.UnicodeScalarView {
        var content = line
        if content.last == "\r" { content.removeLast() }
        while content.last == " " || content.last == "\t" {
            let backslashes = content.dropLast().reversed().prefix { $0 == "\\" }.count
            if !backslashes.isMultiple(of: 2) { break }
            content.removeLast()
        }
        return content
    }
}

/// The part of a pattern that one name is compared with.
private struct NameGlob: Sendable, Hashable {
    private enum Token: Sendable, Hashable {
        case scalar(Unicode.Scalar)
        /// `?`
        case anyScalar
        /// `*`; never two in a row.
        case anyRun
        case oneOf([ClosedRange<Unicode.Scalar>], negated: Bool)
    }

    /// The glob `*`.
    static let anything = NameGlob(tokens: [.anyRun])

    private let tokens: [Token]

    private init(tokens: [Token]) {
        self.tokens = tokens
    }

    /// Reads one component.
    init(_ text: Substring.UnicodeScalarView) throws(PatternError.Reason) {
        var tokens: [Token] = []
        var rest = text
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*":
                if tokens.last != .anyRun { tokens.append(.anyRun) }
            case "?":
                tokens.append(.anyScalar)
            case "[":
                tokens.append(try Self.readClass(&rest))
            case "\\":
                guard let literal = rest.popFirst() else { throw .danglingEscape }
                tokens.append(.scalar(literal))
            default:
                tokens.append(.scalar(scalar))
            }
        }
        self.tokens = tokens
    }

    /// Reads a class from behind its `[` to behind its `]`.
    private static func readClass(_ rest: inout Substring.UnicodeScalarView) throws(PatternError.Reason) -> Token {
        let negated = rest.first == "!" || rest.first == "^"
        if negated { rest.removeFirst() }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        while let scalar = rest.popFirst() {
            if scalar == "]", !ranges.isEmpty { return .oneOf(ranges, negated: negated) }
            if scalar == "[", rest.first == ":" { throw .namedClass }
            let lower = try member(scalar, &rest)
            guard rest.first == "-", let afterDash = rest.dropFirst().first, afterDash != "]" else {
                ranges.append(lower...lower)
                continue
            }
            rest.removeFirst(2)
            let upper = try member(afterDash, &rest)
            guard lower <= upper else { throw .reversedRange }
            ranges.append(lower...upper)
        }
        throw .unterminatedClass
    }

    /// The scalar that a class names by `scalar`, which may be the `\` before it.
    private static func member(
        _ scalar: Unicode.Scalar,
        _ rest: inout Substring.UnicodeScalarView
    ) throws(PatternError.Reason) -> Unicode.Scalar {
        guard scalar == "\\" else { return scalar }
        guard let literal = rest.popFirst() else { throw .unterminatedClass }
        return literal
    }

    /// Compares a whole name, going back to the latest star alone; allocates nothing.
    func matches(_ name: String) -> Bool {
        let scalars = name.unicodeScalars
        var token = 0
        var index = scalars.startIndex
        var retry: (token: Int, index: String.UnicodeScalarView.Index)?
        while index < scalars.endIndex {
            if token < tokens.count {
                if case .anyRun = tokens[token] {
                    token += 1
                    // A star at the end takes the rest, whatever it is.
                    if token == tokens.count { return true }
                    retry = (token, index)
                    continue
                }
                if Self.matches(tokens[token], scalars[index]) {
                    token += 1
                    index = scalars.index(after: index)
                    continue
                }
            }
            guard let last = retry else { return false }
            index = scalars.index(after: last.index)
            token = last.token
            retry = (token, index)
        }
        guard token < tokens.count else { return true }
        if token == tokens.count - 1, case .anyRun = tokens[token] { return true }
        return false
    }

    private static func matches(_ token: Token, _ scalar: Unicode.Scalar) -> Bool {
        switch token {
        case .scalar(let literal): literal == scalar
        case .anyScalar: true
        case .anyRun: false
        case .oneOf(let ranges, let negated): ranges.contains { $0.contains(scalar) } != negated
        }
    }
}

/// The globs of one send: what leaves entries out, and what keeps them after all.
package struct PathFilter: Sendable, Hashable {
    private let excluding: [PathPattern]
    private let including: [PathPattern]

    /// Takes the patterns of `--exclude` and `--exclude-from`, and those of `--include`.
    package init(excluding: [PathPattern], including: [PathPattern]) {
        self.excluding = excluding
        self.including = including
    }

    /// Whether nothing can be left out, so that there is no need to ask: there are no excludes.
    package var isEmpty: Bool { excluding.isEmpty }

    /// Whether the entry is left out: a pattern excludes it, and none includes it.
    ///
    /// An include wins over every exclude, whatever the order on the command line; includes alone leave nothing out.
    /// Both speak of the entry itself. A walk does not enter a folder that is left out, so an include below such a
    /// folder has no effect: to keep `build/report.txt` alone, exclude `build/*` and not `build`.
    ///
    /// - Parameters:
    ///   - components: The names from the source root down to the entry, without the root's own.
    ///   - isDirectory: Whether the entry is a folder. A symbolic link to one is not.
    /// - Returns: True to leave the entry out, and with a folder all that lies below it.
    package func excludes(_ components: [String], isDirectory: Bool) -> Bool {
        excluding.contains { $0.matches(path: components, isDirectory: isDirectory) }
            && !including.contains { $0.matches(path: components, isDirectory: isDirectory) }
    }
}

/// Why a text is not a pattern.
package struct PatternError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of mistakes.
    package enum Reason: Error, Hashable, Sendable {
        /// Nothing is left to compare: an empty text, or slashes alone.
        case empty
        /// A component that no entry has: empty, `.` or `..`.
        case neverMatches
        /// A `[` without its `]`.
        case unterminatedClass
        /// A range whose end precedes its start, such as `[z-a]`.
        case reversedRange
        /// A class by name, such as `[[:alpha:]]`.
        case namedClass
        /// A `\` with nothing after it in its component.
        case danglingEscape
        /// A leading `!`, `+ ` or `- `, which other tools read as rules.
        case negation
    }

    /// What is wrong.
    package let reason: Reason
    /// The text at fault, as given: not safe to print before control characters are escaped.
    package let pattern: String
    /// The line in its file, from 1 on; nil for a pattern from the command line.
    package let line: Int?

    init(_ reason: Reason, pattern: String, line: Int? = nil) {
        self.reason = reason
        self.pattern = pattern
        self.line = line
    }

    /// What is wrong and what to write instead, without the pattern itself.
    package var description: String {
        let sentence =
            switch reason {
            case .empty: "the pattern is empty"
            case .neverMatches: "the pattern matches nothing: no entry has an empty name, \".\" or \"..\""
            case .unterminatedClass: "\"[\" without \"]\"; write \"\\[\" for the bracket itself"
            case .reversedRange: "the range in brackets ends before it starts"
            case .namedClass: "classes by name are not supported; write a range such as [a-z]"
            case .danglingEscape: "nothing follows the last \"\\\"; write \"\\\\\" for the backslash itself"
            case .negation:
                "a pattern cannot begin with \"!\", \"+ \" or \"- \"; use --include, or put \"\\\" before it"
            }
        guard let line else { return sentence }
        return "line \(line): \(sentence)"
    }
}
