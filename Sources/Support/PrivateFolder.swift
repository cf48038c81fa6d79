import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Folders that nobody else can write to, such as caches: what others could have put there is not used.
package enum PrivateFolder {
    /// Makes a folder that is this user's alone, mode 0700, and those that it lies in.
    ///
    /// - Returns: why it cannot be used; nil where it can.
    package static func make(_ url: URL) -> String? {
        if let problem = problem(url.path) { return problem }
        guard target(url.path) == nil else { return nil }
        let parent = url.deletingLastPathComponent()
        if target(parent.path) == nil, parent.path != url.path {
            if let problem = make(parent) { return problem }
        }
        // Somebody else may be first: what there is then is looked at.
        guard mkdir(url.path, 0o700) == 0 || errno == EEXIST else { return String(cString: strerror(errno)) }
        return problem(url.path)
    }

    /// Why a folder, or a file in one, is not this user's alone; nil where it is, and where there is none.
    ///
    /// - Parameter path: links are followed: it is what they lead to that counts.
    package static func problem(_ path: String) -> String? {
        guard let status = target(path) else { return nil }
        return problem(status, user: geteuid(), group: ownGroup)
    }

    /// - Parameters:
    ///   - status: of the folder or file.
    ///   - user: whose it is to be.
    ///   - group: that user's own; nil where it shares all groups with others.
    static func problem(_ status: stat, user: uid_t, group: gid_t?) -> String? {
        if status.st_uid != user { return "it belongs to another user (\(status.st_uid))" }
        let isOpen = status.st_mode & S_IWOTH != 0 || status.st_mode & S_IWGRP != 0 && status.st_gid != group
        return isOpen ? "others may write to it (mode \(String(status.st_mode & 0o7777, radix: 8)))" : nil
    }

    /// The contents of a file that nobody else can have written; nil where there is none, or it is not that.
    package static func contents(_ url: URL) -> Data? {
        let file = open(url.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return nil }
        let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            problem(status, user: geteuid(), group: ownGroup) == nil
        else { return nil }
        return try? handle.readToEnd() ?? Data()
    }

    /// The group of this user alone, which is called as the user is and has nobody else in it: where there is one,
    /// files are often made for it to write to (umask 002). Nil where the group is that of a project, or of all users.
    private static let ownGroup: gid_t? = {
        typealias Entry = group
        let (user, ownGroup) = (geteuid(), getegid())
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1 << 16) { memory -> gid_t? in
            var (owner, found) = (passwd(), UnsafeMutablePointer<passwd>?.none)
            guard let start = memory.baseAddress,
                getpwuid_r(user, &owner, start, memory.count / 2, &found) == 0, found != nil,
                let name = owner.pw_name.map({ String(cString: $0) }), owner.pw_gid == ownGroup
            else { return nil }
            var (own, foundGroup) = (Entry(), UnsafeMutablePointer<Entry>?.none)
            guard getgrgid_r(ownGroup, &own, start + memory.count / 2, memory.count / 2, &foundGroup) == 0,
                foundGroup != nil,
                own.gr_name.map({ String(cString: $0) }) == name
            else { return nil }
            var member = own.gr_mem
            while let other = member?.pointee {
                guard String(cString: other) == name else { return nil }
                member = member?.advanced(by: 1)
            }
            return ownGroup
        }
    }()

    private static func target(_ path: String) -> stat? {
        var status = stat()
        return stat(path, &status) == 0 ? status : nil
    }
}

/// The folder of what this program keeps between runs for its user, `adashare` in the system's place for caches.
package enum UserCache {
    /// The folder, made when first needed; nil if the user has no such place, or others could write to this one. Where
    /// others can read it, as earlier versions left it, they no longer can.
    package static var root: URL? {
        guard problem == nil, let place else { return nil }
        var status = stat()
        if stat(place.path, &status) == 0, status.st_mode & 0o077 != 0 { chmod(place.path, 0o700) }
        return place
    }

    /// Why the folder that there is is not used, in words; nil where it is.
    package static var problem: String? {
        guard let place, let reason = PrivateFolder.problem(place.path) else { return nil }
        return "the cache folder \(place.path) is not used: \(reason); remove it, or set XDG_CACHE_HOME"
    }

    private static var place: URL? {
        FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first?
            .appendingPathComponent("adashare", isDirectory: true)
    }
}
