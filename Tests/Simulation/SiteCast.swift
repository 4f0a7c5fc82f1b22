import Contracts

/// Who takes part in a site: how many devices found it, by which rule they decide, which of them lie, and who comes and goes.
struct SiteCast {
    let devices: Int
    let rule: QuorumRule
    /// Numbers of the devices that lie, in ascending order.
    let liars: [Int]
    let behaviours: [Liar.Behaviour]
    let comings: Comings

    /// Liars that the rule bears: the f of n = 3f + 1, none where members only crash.
    static func bearable(devices: Int, rule: QuorumRule) -> Int { rule == .byzantine ? (devices - 1) / 3 : 0 }

    /// Of twenty seeds sixteen are sites of four devices, of which one may lie; one is a site of seven, of which two may; and
    /// three are sites of one, two, three or five devices that only crash.
    ///
    /// - Parameter options: what it fixes is not drawn.
    init(drawing time: Timeline, _ options: SimulatedSite.Options) {
        let sort = time.draw(0...19)
        let small = [1, 2, 3, 5][Int(time.draw(0...3))]
        devices = options.devices ?? (sort < 16 ? 4 : sort < 17 ? 7 : small)
        rule = .usual(members: options.devices == nil && sort >= 17 ? 3 : devices)
        let most = Self.bearable(devices: devices, rule: rule)
        // A quarter of the sites have nobody who lies.
        let drawn = time.chance(perMille: 250) ? 0 : Int(time.draw(min(1, most)...most))
        var numbers = Array(0..<devices)
        var chosen: [Int] = []
        for _ in 0..<min(devices, options.liars ?? drawn) {
            chosen.append(numbers.remove(at: Int(time.draw(0...numbers.count - 1))))
        }
        liars = chosen.sorted()
        var kinds: [Liar.Behaviour] = []
        for _ in 0..<Int(time.draw(1...4)) {
            let all = Liar.Behaviour.allCases
            kinds.append(all[Int(time.draw(0...all.count - 1))])
        }
        behaviours = options.behaviours ?? kinds
        comings =
            options.isSteady ? Comings() : Comings(drawing: time, devices: devices, rule: rule, liars: liars)
    }
}
