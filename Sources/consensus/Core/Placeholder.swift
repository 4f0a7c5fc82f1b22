// consensus
