import ArgumentParser

/// `make simulate`: suites on simulated networks, for as many seeds as one has time for.
@main
struct SimulateMain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Try what the sites of Poise are made of on simulated networks, disks and clocks.",
        discussion: "A history is determined by its seed: what failed once fails again.",
        subcommands: [
            ElectionsCommand.self, SiteCommand.self, MutantsCommand.self, SiteMutantsCommand.self, FiguresCommand.self,
            ChainFiguresCommand.self, TranscriptsCommand.self,
        ])
}
