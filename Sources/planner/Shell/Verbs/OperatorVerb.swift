import ArgumentParser
import Contracts
import PlannerCore
import Runtime
import Transport

struct OperatorVerb: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "operator", abstract: "Make or show the key of whoever runs the site.",
        discussion: """
            The operator alone can submit and remove apps, invite and dismiss devices and change the site's parameters. \
            The key's public half is named to every device before the site is founded (POISE_OPERATOR); the file stays with \
            the operator.
            """,
        subcommands: [OperatorCreate.self, OperatorShow.self])
}

struct OperatorCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a new key and print its public half.")

    @OptionGroup var options: OperatorOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let file = try options.file(try common.settings())
        let key = try file.create()
        print(key.publicKey)
        Notice.show("The secret half is in \(file.path): keep a copy of it. Start every device with")
        Notice.show("POISE_OPERATOR=\(key.publicKey)")
    }
}

struct OperatorShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Print the public half of the key: what POISE_OPERATOR should be.")

    @OptionGroup var options: OperatorOptions
    @OptionGroup var common: CommonOptions

    func run() async throws { print(try options.file(try common.settings()).read().publicKey) }
}
