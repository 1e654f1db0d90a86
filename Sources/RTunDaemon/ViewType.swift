// SPDX-License-Identifier: MIT
import Archive

/// The kinds of file that `view` may hand to the user's applications.
///
/// A file is of a kind only if its name and its content agree (`ViewType+Sniffing.swift`).
package enum ViewType: String, CaseIterable, Sendable {
    case png, jpeg, gif, webp, tiff, bmp, heic
    case pdf
    case txt, log, csv, tsv, json, md
    // Opened only where the laptop's config allows them for a host.
    case html, svg
    case docx, xlsx, pptx, odt, ods, odp
    case zip, gzip, tar

    /// What is opened unless the config says otherwise: kinds that show and do not run.
    package static let allowedByDefault: Set<ViewType> = [
        .png, .jpeg, .gif, .webp, .tiff, .bmp, .heic, .pdf, .txt, .log, .csv, .tsv, .json, .md,
    ]

    /// The largest file that is opened, in bytes: 200 MiB.
    package static let sizeLimit: Int64 = 200 << 20

    /// The kind that a file name extension stands for, or nil for any other.
    ///
    /// - Parameter fileExtension: in lower case, without the dot.
    package init?(fileExtension: String) {
        switch fileExtension {
        case "jpg": self = .jpeg
        case "tif": self = .tiff
        case "htm": self = .html
        case "gz", "tgz": self = .gzip
        default:
            guard let type = ViewType(rawValue: fileExtension), type != .gzip else { return nil }
            self = type
        }
    }

    /// The extension for a name that the daemon makes, without the dot.
    package var fileExtension: String {
        switch self {
        case .jpeg: "jpg"
        case .tiff: "tif"
        case .gzip: "gz"
        default: rawValue
        }
    }

    /// Extensions that are never opened, whatever the config says: programs, scripts, links and installers.
    static let neverOpened: Set<String> = [
        "desktop", "app", "command", "terminal", "tool", "webloc", "inetloc", "fileloc", "url", "jar", "appimage",
        "sh", "bash", "zsh", "fish", "csh", "ksh", "py", "pyc", "pyw", "pl", "rb", "php", "js", "mjs", "jse", "lua",
        "exe", "com", "bat", "cmd", "ps1", "vbs", "vbe", "wsf", "wsh", "hta", "scr", "msi", "lnk", "pif", "reg", "dll",
        "scpt", "scptd", "applescript", "workflow", "action", "mobileconfig", "prefpane", "kext", "dylib", "bundle",
        "pkg", "mpkg", "dmg", "iso", "deb", "rpm", "flatpakref", "snap", "run", "bin", "elf", "so", "ko", "service",
        "docm", "dotm", "xlsm", "xltm", "xlam", "pptm", "potm", "ppam", "ppsm", "sldm", "jnlp", "xpi", "crx", "vsix",
    ]
}

/// Whether a file is opened or only kept.
package enum ViewVerdict: Equatable, Sendable {
    case open(ViewType)
    case saveOnly(reason: ViewRefusal)
}

/// Why a file is kept but not opened.
package enum ViewRefusal: Equatable, Sendable {
    /// The name has no extension.
    case noExtension
    /// No kind that can be viewed has this extension.
    case unknownExtension(String)
    /// The kind is opened only when the laptop's config says so.
    case notAllowed(ViewType)
    /// Programs, scripts and links are never opened.
    case neverOpened(String)
    /// It is no regular file.
    case notRegular
    /// It may be executed, by its mode.
    case executable
    /// It begins as a program or a script does.
    case program
    /// It is larger than `ViewType.sizeLimit`.
    case tooLarge(Int64)
    /// The content is not what the extension says.
    case contentDiffers(ViewType)
    /// The file says `.txt` or the like and holds HTML, SVG or XML.
    case markup(ViewType)
    /// It became shorter while it was read.
    case truncated
    /// The page's name has characters that a desktop's programs may take for more than a name.
    case pageName
    /// A file that may not stand beside a page.
    case beside(String)
    /// More than `PageFolder` allows.
    case tooMuchBeside
}

extension ViewRefusal: CustomStringConvertible {
    /// Half a sentence that goes on from "saved, not opened: ", printable.
    package var description: String {
        switch self {
        case .noExtension: "the name has no extension"
        case .unknownExtension(let name): "files of type .\(SafeText(name, limit: 32)) are not opened"
        case .notAllowed(let type): "opening .\(type.fileExtension) files is not allowed for this host"
        case .neverOpened(let name): "files of type .\(SafeText(name, limit: 32)) are never opened"
        case .notRegular: "it is not a regular file"
        case .executable: "the file is executable"
        case .program: "the file is a program or a script"
        case .tooLarge(let size): "\(size) bytes are more than the \(ViewType.sizeLimit >> 20) MiB that are opened"
        case .contentDiffers(let type): "the content is not that of a .\(type.fileExtension) file"
        case .markup(let type): "a .\(type.fileExtension) file must not begin as a web page or as XML"
        case .truncated: "the file became shorter while it was read"
        case .pageName: "a page's name may have letters, digits, spaces and -_.,+=()[]@ alone"
        case .beside(let name): "\(SafeText(name, limit: 64)) is not of a kind that stands beside a page"
        case .tooMuchBeside:
            "more than \(PageFolder.entryLimit) files, or \(ViewType.sizeLimit >> 20) MiB, come with the page"
        }
    }
}
