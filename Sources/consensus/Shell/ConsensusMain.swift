import Runtime

@main struct Main { static func main() {} }
